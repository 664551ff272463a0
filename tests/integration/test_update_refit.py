"""A box whose runtimes changed takes the files of its model that it can run now."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from agent.disk import Disk
from agent.update.library import Libraries
from agent.update.rules import Attempt, Wish
from agent.update.shelf import Shelf
from agent.update.shelf_disk import ShelfDisk
from agent.update.updater import UpdaterSettings
from agent.update.updates import FOLDER, Judges, Updates
from contracts.config import AgentConfig
from contracts.facts import Facts
from contracts.update import WantedModel
from tests.fakes.bundles import artifact, make_bundle
from tests.fakes.steps import FakeSteps
from tests.fakes.update_box import FakeBox

PATIENCE = 120.0
OLD: Facts = {"cpu.count": 1, "runtime.old": "1.0"}
NEW: Facts = {"cpu.count": 1, "runtime.new": "1.0"}


class Box:
    """A box that takes bundles from a folder, as it would from a server.

    Args:
        folder: of the box; the release lies in it.
        facts: the box's.
    """

    def __init__(self, folder: Path, facts: Facts) -> None:
        self.config = AgentConfig.model_validate(
            {
                "device": "box-1",
                "bundle": str(folder / "local"),
                "state_dir": str(folder / "state"),
                "broker": {"host": "127.0.0.1"},
                "camera": [{"id": "gate", "source": "synthetic"}],
                "update": {"keep_free_mb": 0, "server": ["http://127.0.0.1:1"]},
            }
        )
        here = folder / "state" / FOLDER
        self.shelf = Shelf(ShelfDisk(here))
        release = str(folder / "release")
        libraries = Libraries(self.config, self.shelf, list)
        self.updates = Updates(Disk(here), self.shelf, lambda _: libraries.open(release))
        self.box = FakeBox(self.config, self.updates.installed)
        self.box.facts = facts
        self._changed = threading.Condition()
        table = FakeSteps().table()
        judges = Judges(lambda _: table["selftest"], None, lambda _: table["probation"])
        self.updates.start(self.box, judges, UpdaterSettings(changed=self._note))

    def _note(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def ended(self, number: int) -> Attempt:
        def attempt() -> Attempt | None:
            found = self.updates._journal.attempt
            return found if found is not None and found.number == number and found.is_over else None

        with self._changed:
            assert self._changed.wait_for(attempt, PATIENCE), self.updates.report()
        found = attempt()
        assert found is not None
        return found

    def held(self) -> set[str]:
        """The artifacts whose files are in the bundle that runs."""
        top = self.shelf.bundle(self.updates.running().models["main"].manifest)
        return {path.parent.name for path in top.glob("artifacts/*/*/model.bin")}


def lay_out(folder: Path) -> None:
    def requiring(root: Path, name: str) -> dict[str, Any]:
        return artifact(root, f"any/{name}", requires=[{"fact": f"runtime.{name}", "at_least": "1.0"}])

    for place, version in (("local", "1.0.0"), ("release", "2.0.0")):
        root = folder / place
        root.mkdir()
        model = {
            "name": "fake",
            "version": version,
            "labels": ["vehicle"],
            "input": {"width": 64, "height": 64},
            "output": {"decoder": "density"},
        }
        make_bundle(root, [requiring(root, "old"), requiring(root, "new")], model=model)


def test_only_what_the_box_can_run_is_fetched_and_what_it_can_run_later_comes_at_a_later_start(tmp_path: Path) -> None:
    lay_out(tmp_path)
    box = Box(tmp_path, OLD)
    models = {"main": WantedModel(name="fake", version="2.0.0")}
    box.updates._updater.want(Wish(epoch=1, model_revision=1, models=models))  # type: ignore[union-attr]
    assert box.ended(1).state == "committed"
    assert box.held() == {"old"}
    box.updates.stop(PATIENCE)

    again = Box(tmp_path, NEW)
    refitted = again.ended(2)
    again.updates.stop(PATIENCE)
    assert refitted.state == "committed"
    assert again.held() == {"old", "new"}
    assert again.box.reconsidered == ["main"], "another artifact of it may be the best now"
    assert again.box.flips == 0
    assert again.updates.running().model_revision == 1

    third = Box(tmp_path, NEW)
    third.updates.stop(PATIENCE)
    assert third.updates.report() is not None
    assert third.updates._journal.attempt == refitted, "nothing is left to do"


def test_a_box_that_can_run_nothing_of_its_model_any_more_says_which_fact_is_missing(tmp_path: Path) -> None:
    lay_out(tmp_path)
    box = Box(tmp_path, OLD)
    models = {"main": WantedModel(name="fake", version="2.0.0")}
    box.updates._updater.want(Wish(epoch=1, model_revision=1, models=models))  # type: ignore[union-attr]
    assert box.ended(1).state == "committed"
    box.updates.stop(PATIENCE)
    none = Box(tmp_path, {"cpu.count": 1})
    ended = none.ended(2)
    none.updates.stop(PATIENCE)
    assert (ended.state, ended.code) == ("rejected", "no_artifact_fits")
    assert "runtime.old" in ended.reason
