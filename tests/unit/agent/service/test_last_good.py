"""An agent.toml that does not come up is left for the last one that counted, until somebody changes it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.service.last_good import MOST_STARTS, LastGood, find_last_good


class Box:
    def __init__(self, folder: Path) -> None:
        self.file = folder / "agent.toml"
        self.kept = folder / "state" / "last-good"

    def start(self) -> LastGood:
        """The agent begins, and is killed before anything else happens unless the test goes on with it."""
        last_good = LastGood(self.kept, self.file)
        self.choice = last_good.choose()
        return last_good

    @property
    def runs(self) -> bytes:
        return self.choice.path.read_bytes()


@pytest.fixture
def box(tmp_path: Path) -> Box:
    made = Box(tmp_path)
    made.file.write_text("good")
    made.start().lasted()
    return made


def test_a_file_that_does_not_come_up_is_left_for_the_last_good_one(box: Box, caplog: pytest.LogCaptureFixture) -> None:
    box.file.write_text("bad")
    for _ in range(MOST_STARTS):
        box.start()
        assert box.runs == b"bad"
        assert box.choice.note is None
    with caplog.at_level(logging.CRITICAL):
        box.start()
    assert box.runs == b"good"
    assert "did not come up 5 times" in (box.choice.note or "")
    assert "mend the file" in caplog.text


def test_the_last_good_one_runs_on_over_restarts_and_is_never_taken_for_the_new_one(box: Box) -> None:
    box.file.write_text("bad")
    for _ in range(MOST_STARTS):
        box.start()
    for _ in range(3):
        box.start().lasted()
        assert box.runs == b"good"


def test_a_file_that_was_mended_is_tried_at_once(box: Box) -> None:
    box.file.write_text("bad")
    for _ in range(MOST_STARTS + 1):
        box.start()
    box.file.write_text("better")
    box.start().lasted()
    assert box.runs == b"better"
    box.file.write_text("worse")
    for _ in range(MOST_STARTS + 1):
        box.start()
    assert box.runs == b"better"


def test_a_file_that_counted_once_is_not_left_for_what_fails_later(box: Box) -> None:
    for _ in range(3 * MOST_STARTS):  # a disk, a driver, memory: no older file would mend it
        box.start()
        assert box.runs == b"good"


def test_ends_that_were_asked_for_say_nothing_against_a_file(box: Box) -> None:
    box.file.write_text("new")
    for _ in range(3 * MOST_STARTS):
        box.start().ended_well()
        assert box.runs == b"new"


def test_a_file_that_is_gone_is_replaced_too(box: Box) -> None:
    box.file.unlink()
    for _ in range(MOST_STARTS + 1):
        box.start()
    assert box.runs == b"good"


def test_a_box_that_never_counted_has_nothing_to_go_back_to(tmp_path: Path) -> None:
    box = Box(tmp_path)
    box.file.write_text("bad")
    for _ in range(3 * MOST_STARTS):
        box.start()
        assert box.choice.path == box.file


def test_a_damaged_note_of_the_starts_begins_anew(box: Box, caplog: pytest.LogCaptureFixture) -> None:
    (box.kept / "starts").write_bytes(b"\x00\xff nonsense")
    box.start()
    assert box.runs == b"good"
    assert "starts are counted anew" in caplog.text


def test_a_disk_that_takes_nothing_keeps_no_file_from_running(tmp_path: Path) -> None:
    box = Box(tmp_path)
    box.file.write_text("new")
    box.kept.parent.write_text("a file where the folder should be")
    last_good = box.start()
    last_good.lasted()
    last_good.ended_well()
    assert box.runs == b"new"


def test_nobody_but_the_service_may_read_what_is_kept(box: Box) -> None:
    assert (box.kept / "agent.toml").stat().st_mode & 0o077 == 0


def test_only_a_service_keeps_one(tmp_path: Path) -> None:
    assert find_last_good({}, tmp_path / "agent.toml") is None
    assert find_last_good({"STATE_DIRECTORY": f"{tmp_path}:/elsewhere"}, tmp_path / "agent.toml") is not None


Did = st.sampled_from(["killed", "lasted", "ended", "write-a", "write-b", "write-c"])


@settings(max_examples=60, deadline=None)
@given(did=st.lists(Did, max_size=40))
def test_whatever_happens_it_runs_the_file_that_is_there_or_one_that_has_lasted(
    did: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    box = Box(tmp_path_factory.mktemp("box"))
    box.file.write_text("first")
    lasted: set[bytes] = set()
    for one in did:
        if one.startswith("write"):
            box.file.write_text(one)
            continue
        run = box.start()
        assert box.runs == box.file.read_bytes() or (box.runs in lasted and box.choice.note)
        if one == "lasted":
            run.lasted()
            lasted.add(box.runs)
        elif one == "ended":
            run.ended_well()
