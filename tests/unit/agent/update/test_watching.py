"""How a box was is kept before a model takes over, and the model is watched until it showed enough, or too little."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.disk import Disk
from agent.update.errors import UpdateError, UpdateStoppedError, UpdateWaitsError
from agent.update.journal import Journal
from agent.update.on_site import Hold, OnSite
from agent.update.probation import Before
from agent.update.rules import Attempt, InstalledSet, Wish, begun
from agent.update.shelf import Shelf
from agent.update.shelf_disk import ShelfDisk
from agent.update.steps import Library, Means
from agent.update.takeover import activate
from agent.update.watching import Watching
from contracts.errors import StorageError
from contracts.update_config import UpdateConfig
from tests.fakes.bundles import make_bundle
from tests.fakes.disk import FakeDisk
from tests.fakes.update_box import FakeBox
from tests.unit.agent.update.attempts import installed
from tests.unit.agent.update.test_ahead import box_of
from tests.unit.agent.update.test_witness import Rig as Camera

HASTY = UpdateConfig.model_validate({"probation": {"seconds": 10, "frames": 30}, "patience_hours": 1})


class Rig:
    """A box with one camera, and an attempt that is about to take over."""

    def __init__(self, folder: Path, disk: FakeDisk | None = None) -> None:
        self.camera = Camera()
        self.camera.run(60, 30)
        self.disk = disk or FakeDisk()
        self.synced: bool | None = True
        make_bundle(folder / "b")
        self.means = Means(
            box=FakeBox(box_of(folder).config, {}),
            journal=Journal(self.disk),
            shelf=Shelf(ShelfDisk(folder / "shelf")),
            library=_nowhere,
        )
        self.watching = Watching(
            witness=self.camera.witness,
            config=HASTY,
            disk=self.disk,
            telemetry=lambda: None,
            synced=lambda: self.synced,
            wall=lambda: 0.0,
            monotonic=self._now,
        )
        self.attempt = _attempt()
        self.means.journal.enter(self.attempt)
        self.fps = 30
        self.notes: list[str] = []

    def take_over(self) -> None:
        self.watching.begin(self.attempt)
        self.means.journal.point(self.means.journal.active.flipped(self.attempt.target, self.attempt.number))

    def watch(self, stopped: bool = False) -> tuple[str, str] | None:
        return self.watching.probation(
            self.means, self.attempt, lambda text, _: self.notes.append(text), lambda: stopped
        ).settled

    def kept(self) -> Before:
        found = self.watching._kept(self.attempt)
        assert found is not None
        return found

    def _now(self) -> float:
        """Every look at the clock finds the camera a while further."""
        self.camera.run(1, self.fps)
        self.camera.unit.came += 30 - self.fps  # which came, and were not counted
        return self.camera.now


def _nowhere(source: str | None) -> Library:
    raise AssertionError(source)


def _attempt() -> Attempt:
    return begun(Wish(), None).model_copy(update={"state": "activate", "resolved": {"main": installed()}, "starts": 1})


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.update.watching._LOOK_SECONDS", 0.0)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_a_model_that_does_well_is_kept_and_what_was_missing_is_told(rig: Rig) -> None:
    rig.take_over()
    rig.camera.acknowledged = 1
    settled = rig.watch()
    assert settled is not None
    assert settled[0] == "committed"
    assert rig.notes


def test_a_model_that_counts_too_few_frames_is_taken_back(rig: Rig) -> None:
    rig.take_over()
    rig.camera.acknowledged = 1
    rig.fps = 20
    with pytest.raises(UpdateError) as caught:
        rig.watch()
    assert caught.value.code == "fps_low"


def test_what_shows_nothing_is_waited_for_as_long_as_the_patience_lasts(rig: Rig) -> None:
    rig.take_over()
    with pytest.raises(UpdateError) as caught:
        rig.watch()
    assert caught.value.code == "no_broker"
    assert "for 1 h ('patience_hours')" in caught.value.reason


def test_an_agent_that_ends_ends_the_watching(rig: Rig) -> None:
    rig.take_over()
    with pytest.raises(UpdateStoppedError):
        rig.watch(stopped=True)


def test_two_minutes_of_counting_begin_the_count_of_starts_anew(rig: Rig) -> None:
    rig.take_over()
    with pytest.raises(UpdateError):
        rig.watch()
    assert rig.means.journal.attempt is not None
    assert rig.means.journal.attempt.starts == 0


def test_how_the_box_was_is_kept_over_a_start_of_the_agent(rig: Rig, tmp_path: Path) -> None:
    rig.take_over()
    again = Rig(tmp_path, rig.disk)
    again.watching.begin(again.attempt)
    assert again.kept() == rig.kept(), "the new run has watched for a moment only"
    assert again.watching._before(again.attempt).cameras["gate"].fps == rig.kept().cameras["gate"].fps


def test_how_the_box_was_is_looked_at_anew_where_the_pointer_waited_for_the_disk(rig: Rig) -> None:
    rig.watching.begin(rig.attempt)
    first = rig.kept()
    rig.camera.run(3600, 10)
    rig.watching.begin(rig.attempt)
    assert rig.kept().at > first.at
    assert round(rig.kept().cameras["gate"].fps) == 10


def test_once_the_pointer_names_the_new_models_how_the_box_was_is_not_looked_at_again(rig: Rig) -> None:
    rig.means.journal.point(rig.means.journal.active.flipped(InstalledSet(models=rig.attempt.resolved), 1))
    begun_for: list[Attempt] = []
    bundle = rig.means.shelf.bundle(installed().manifest)
    make_bundle(bundle)
    activate(begun_for.append, rig.means, rig.attempt, lambda *_: None, lambda: False)
    assert not begun_for
    assert rig.means.box.counts_with() == {"main": bundle}


def test_a_disk_that_is_full_when_a_model_takes_over_touches_nothing(rig: Rig) -> None:
    rig.disk.full, rig.disk.fail_in = True, 0
    with pytest.raises(StorageError):
        activate(rig.watching.begin, rig.means, rig.attempt, lambda *_: None, lambda: False)
    assert not rig.means.journal.active.running.models
    assert isinstance(rig.means.box, FakeBox)
    assert rig.means.box.flips == 0


def test_who_holds_the_box_keeps_models_from_taking_over(rig: Rig, tmp_path: Path) -> None:
    on_disk = Watching(
        witness=rig.camera.witness, config=HASTY, disk=Disk(tmp_path), telemetry=lambda: None, synced=lambda: True
    )
    on_disk.gate()
    OnSite(tmp_path).hold(Hold(why="a wedding", since="2026-06-01T00:00:00Z"))
    with pytest.raises(UpdateWaitsError, match="a wedding"):
        on_disk.gate()
