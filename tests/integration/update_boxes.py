"""A box whose models change, without cameras: real files, journal and shelf, and steps that do as they are told."""

from __future__ import annotations

import hashlib
import json
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from agent.disk import Disk
from agent.update.errors import UpdateError
from agent.update.journal import Journal
from agent.update.library import Libraries
from agent.update.rules import OVER, Attempt, Wish
from agent.update.shelf import Shelf
from agent.update.shelf_disk import ShelfDisk
from agent.update.updater import UpdaterSettings
from agent.update.updates import FOLDER, Judges, Updates
from contracts.config import AgentConfig
from contracts.manifest import MANIFEST_NAME
from contracts.update import WantedModel
from runtime.bundle import open_bundle
from tests.fakes.bundles import artifact, make_bundle
from tests.fakes.steps import FakeSteps
from tests.fakes.update_box import FakeBox

PATIENCE = 120.0


def bundle_of(folder: Path, version: str) -> Path:
    """A bundle of three files, one of them of some size."""
    folder.mkdir(parents=True)
    big = artifact(folder)
    file = folder / big["files"][0]["path"]
    file.write_bytes(random.Random(version).randbytes(300_000))
    entry = {"path": big["files"][0]["path"], "sha256": digest(file.read_bytes()), "size": 300_000}
    model = {
        "name": "fake",
        "version": version,
        "labels": ["vehicle"],
        "input": {"width": 64, "height": 64},
        "output": {"decoder": "density"},
    }
    return make_bundle(folder, [big | {"files": [entry]}], model=model)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Scenario(NamedTuple):
    """A change.

    Args:
        version: of the model that is wanted; one that ends in ``-broken`` does not load.
        fails: the state that goes wrong with it.
        before: what lies on the disk already.
    """

    version: str
    fails: str | None = None
    before: str = "nothing"

    @property
    def number(self) -> int:
        """Of its attempt."""
        return 2 if self.before == "updated" else 1

    @property
    def starts_with(self) -> str:
        """The version that counts before it."""
        return "2.0.0" if self.before == "updated" else "1.0.0"


SCENARIOS = {
    "a good model": Scenario("2.0.0"),
    "a good model, its download resumed": Scenario("2.0.0", before="half"),
    "a good model, what came of it spoiled": Scenario("2.0.0", before="spoiled"),
    "a model that fails its self-test": Scenario("2.0.0", "selftest"),
    "a model that fails on probation": Scenario("2.0.0", "probation"),
    "a model that does not load": Scenario("2.0.0-broken"),
    "a second good model": Scenario("3.0.0", before="updated"),
    "a second model that fails on probation": Scenario("3.0.0", "probation", before="updated"),
    "the way back": Scenario("back", before="updated"),
}


class Box:
    """A box on a folder.

    Args:
        folder: with its state.
        releases: with its local bundle and all that is released.
        disks: for its records, and for its models; real ones where left out.
        fails: the state that goes wrong.
        patience: seconds without progress before an attempt is given up.
    """

    def __init__(
        self,
        folder: Path,
        releases: Path,
        disks: tuple[Disk, ShelfDisk] | None = None,
        fails: str | None = None,
        patience: float = 0.0,
    ) -> None:
        self._patience = patience
        self.state_dir = folder / "state"
        disk, shelf_disk = disks or (Disk(self.state_dir / FOLDER), ShelfDisk(self.state_dir / FOLDER))
        config = AgentConfig.model_validate(
            {
                "device": "box-1",
                "bundle": str(releases / "1.0.0"),
                "state_dir": str(self.state_dir),
                "broker": {"host": "127.0.0.1"},
                "camera": [{"id": "gate", "source": "synthetic"}],
                "update": {"keep_free_mb": 0},
            }
        )
        self.shelf = Shelf(shelf_disk)
        self.updates = Updates(disk, self.shelf, Libraries(config, self.shelf, self._keep).open)
        if any(
            open_bundle(path).manifest.model.version.endswith("-broken") for path in self.updates.installed.values()
        ):
            assert self.updates.go_back("it does not load"), "a model that does not load is not the only one"
        self.box = FakeBox(config, self.updates.installed)
        self._steps = FakeSteps()
        if fails is not None:
            self._steps.fail(fails, *(UpdateError("too_slow", "as planned") for _ in range(9)))  # type: ignore[arg-type]
        self._changed = threading.Condition()

    def _keep(self) -> list[str]:
        return [one.manifest for one in self.updates.running().models.values()]

    def start(self) -> None:
        table = self._steps.table()
        judges = Judges(lambda _: table["selftest"], None, lambda _: table["probation"])
        self.updates.start(self.box, judges, UpdaterSettings(changed=self._note, patience=self._patience))

    def _note(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def want(self, wish: Wish) -> None:
        self.updates._updater.want(wish)  # type: ignore[union-attr]

    def ask(self, scenario: Scenario, releases: Path) -> None:
        """As a document does that comes with every connection."""
        last = self.updates._journal.attempt
        if last is None or last.number < scenario.number:
            self.want(wish_for(releases, scenario.version))

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        with self._changed:
            while not condition():  # who is cut off tells nobody
                assert time.monotonic() < deadline, self.updates.report()
                self._changed.wait(0.02)

    def until_over(self, number: int, or_else: Callable[[], bool] = lambda: False) -> Attempt | None:
        """The attempt once it has come to its end; None where something else came first."""

        def is_over() -> bool:
            found = self.updates._journal.attempt
            return or_else() or (found is not None and found.number >= number and found.is_over)

        self.until(is_over)
        self.updates.stop(PATIENCE)
        return None if or_else() else self.updates._journal.attempt


def wish_for(releases: Path, version: str) -> Wish:
    if version == "back":
        return Wish(back=True)
    return Wish(
        epoch=1,
        model_revision=int(version[0]),
        models={"main": WantedModel(name="fake", version=version)},
        source=str(releases / version),
    )


def change(folder: Path, releases: Path, scenario: Scenario, disks: tuple[Disk, ShelfDisk] | None = None) -> None:
    """A box that runs until the change has come to its end, or it died."""
    box = Box(folder, releases, disks, scenario.fails)
    box.start()
    box.ask(scenario, releases)
    box.until_over(scenario.number)


def laid_out(folder: Path, releases: Path, scenario: Scenario) -> None:
    """What is on the disk before the change."""
    if scenario.before == "updated":
        change(folder, releases, Scenario("2.0.0"))
    elif scenario.before != "nothing":
        manifest = json.loads((releases / scenario.version / MANIFEST_NAME).read_text())
        big = manifest["artifacts"][0]["files"][0]
        data = (releases / scenario.version / big["path"]).read_bytes()
        partial = folder / "state" / FOLDER / "partial"
        partial.mkdir(parents=True)
        half = data[: len(data) // 2] if scenario.before == "half" else b"\0" * (len(data) // 2)
        (partial / big["sha256"]).write_bytes(half)


def what_is_left(folder: Path, releases: Path, scenario: Scenario) -> str:
    """Start the box again, without death: what it ends as, checked for being one whole and good set."""
    box = Box(folder, releases, fails=scenario.fails)
    started_with = dict(box.box.now)
    for slot, path in started_with.items():
        assert box.shelf.check(path.name) == [] or path == releases / "1.0.0", f"{slot} starts with a bad bundle"
    box.start()
    box.ask(scenario, releases)
    ended = box.until_over(scenario.number)
    assert ended is not None
    journal = Journal(Disk(box.state_dir / FOLDER))
    assert journal.attempt == ended
    assert not journal.damage
    assert ended.state in OVER
    running = journal.active.running.models
    expected = {"main": box.shelf.bundle(running["main"].manifest) if running else releases / "1.0.0"}
    assert box.box.now == expected, "what the pointer says is what runs"
    for model in running.values():
        assert box.shelf.check(model.manifest) == []
    version = running["main"].version if running else "1.0.0"
    return f"{ended.state} {version}"


ENDS = {
    "a good model": {"committed 2.0.0"},
    "a good model, its download resumed": {"committed 2.0.0"},
    "a good model, what came of it spoiled": {"committed 2.0.0"},
    "a model that fails its self-test": {"rejected 1.0.0"},
    "a model that fails on probation": {"rolled_back 1.0.0"},
    "a model that does not load": {"rolled_back 1.0.0"},
    "a second good model": {"committed 3.0.0"},
    "a second model that fails on probation": {"rolled_back 2.0.0"},
    "the way back": {"committed 1.0.0"},
}
"""With one kill there is one end, whenever it comes."""


def write_releases(top: Path) -> None:
    """All that the scenarios ask for, and what the box begins with."""
    for version in ("1.0.0", "2.0.0", "2.0.0-broken", "3.0.0"):
        bundle_of(top / version, version)
