"""A disk that gets full at any moment of a change is waited for: nothing is half done, no good model is lost by it."""

from __future__ import annotations

import errno
import random
from pathlib import Path

import pytest

from agent.update.journal import Journal
from agent.update.recovery import recover
from agent.update.shelf_disk import ShelfDisk
from agent.update.updates import FOLDER
from contracts.update import UpdateReport
from tests.fakes.disk import FakeDisk
from tests.integration.update_boxes import SCENARIOS, Box, wish_for, write_releases

GOOD = SCENARIOS["a good model"]
MOST_WRITES = 9  # of the journal; a change has fewer
PATIENCE = 3600.0


class FillingDisk(FakeDisk):
    """In memory; of its writes the first ``room`` go well, and the next ones do not, until it is given `space`."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room: float = room
        self.refused = 0

    def space(self) -> None:
        self.room = float("inf")

    def write(self, name: str, data: bytes) -> None:
        if self.room <= 0:
            self.refused += 1
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= 1
        super().write(name, data)


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("releases")
    write_releases(top)
    return top


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries again at once."""
    monkeypatch.setattr("agent.update.updater._FIRST_PAUSE", 0.01)
    monkeypatch.setattr("agent.update.updater._LONGEST_PAUSE", 0.01)


def box_on(folder: Path, releases: Path, disk: FillingDisk) -> Box:
    return Box(folder, releases, (disk, ShelfDisk(folder / "state" / FOLDER)), patience=PATIENCE)


def told(box: Box) -> UpdateReport | None:
    return box.updates.report()


@pytest.mark.parametrize("room", range(MOST_WRITES + 1))
def test_it_waits_says_so_and_goes_on_when_there_is_room(tmp_path: Path, releases: Path, room: int) -> None:
    disk = FillingDisk(room)
    box = box_on(tmp_path, releases, disk)
    box.start()
    box.want(wish_for(releases, GOOD.version))
    box.until(lambda: disk.refused >= 3 or has_ended(box))
    if disk.refused:
        report = told(box)
        assert report is None or (report.code, report.state in {"rolling_back", "rolled_back"}) == ("no_space", False)
        assert report is None or "free some space" in report.reason
        running = box.updates.running().models
        pointed = {"main": box.shelf.bundle(running["main"].manifest)} if running else {"main": releases / "1.0.0"}
        assert box.box.now == pointed, "what the pointer says is what counts"
    disk.space()
    ended = box.until_over(GOOD.number)
    assert ended is not None
    assert (ended.state, ended.code) == ("committed", None)
    assert box.box.now == {"main": box.shelf.bundle(ended.resolved["main"].manifest)}


def has_ended(box: Box) -> bool:
    attempt = box.updates._journal.attempt
    return attempt is not None and attempt.is_over


def test_a_change_does_not_write_more_often_than_the_disk_is_filled_here(tmp_path: Path, releases: Path) -> None:
    disk = FillingDisk(MOST_WRITES)
    box = box_on(tmp_path, releases, disk)
    box.start()
    box.want(wish_for(releases, GOOD.version))
    assert box.until_over(GOOD.number) is not None
    assert not disk.refused


def test_a_power_cut_while_it_waits_to_take_over_has_it_wait_again(tmp_path: Path, releases: Path) -> None:
    for room in range(MOST_WRITES):
        here = tmp_path / str(room)
        here.mkdir()
        disk = FillingDisk(room)
        box = box_on(here, releases, disk)
        box.start()
        box.want(wish_for(releases, GOOD.version))
        box.until(lambda disk=disk, box=box: disk.refused >= 2 or has_ended(box))  # type: ignore[misc]
        box.updates.stop(60)
        files = disk.after_power_cut(random.Random(room))
        again = FillingDisk(0)
        again._names, again._safe_names = files._names, files._safe_names
        journal = Journal(again)
        state = journal.attempt.state if journal.attempt is not None else None
        before = journal.active.running
        recover(journal)
        if state == "activate" and not before.models:
            assert journal.attempt is not None
            assert journal.attempt.state == "activate", "nothing was touched"
            assert not journal.active.running.models
            return
    pytest.fail("no room ended in 'activate'")
