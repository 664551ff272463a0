"""An update whose power is cut after each operation on the disk, where bytes and names that were not flushed are lost.

The change runs on real files; beside them a disk in memory keeps what is surely flushed. What it says is left after the
cut is laid out as real files again, and the box started on it.
"""

from __future__ import annotations

import random
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.disk import Disk
from agent.update.shelf_disk import ShelfDisk
from agent.update.updates import FOLDER
from tests.fakes.disk import FakeDisk, PowerCut
from tests.fakes.shelf_disk import FakeShelfDisk
from tests.integration.update_boxes import ENDS, SCENARIOS, Box, Scenario, what_is_left, write_releases


class Supply:
    """The power, which is cut before an operation.

    Args:
        at: which one, counted from 0; None for never.
    """

    def __init__(self, at: int | None) -> None:
        self._at = at
        self.operations = 0
        self.is_off = False

    def operate(self) -> None:
        if self.is_off or self.operations == self._at:
            self.is_off = True
            raise PowerCut
        self.operations += 1


class MirroredDisk(Disk):
    """Small files; each operation is done in memory too."""

    def __init__(self, directory: Path, supply: Supply, mirror: FakeDisk) -> None:
        super().__init__(directory)
        self._supply, self._mirror = supply, mirror

    def write(self, name: str, data: bytes) -> None:
        self._supply.operate()
        self._mirror.write(name, data)
        super().write(name, data)

    def sync(self, name: str) -> None:
        self._supply.operate()
        self._mirror.sync(name)
        super().sync(name)

    def rename(self, old: str, new: str) -> None:
        self._supply.operate()
        self._mirror.rename(old, new)
        super().rename(old, new)

    def sync_names(self) -> None:
        self._supply.operate()
        self._mirror.sync_names()
        super().sync_names()


class MirroredShelfDisk(ShelfDisk):
    """Models; each operation is done in memory too."""

    def __init__(self, top: Path, supply: Supply, mirror: FakeShelfDisk) -> None:
        super().__init__(top)
        self._supply, self._mirror = supply, mirror

    def make(self, folder: str) -> None:
        self._both(lambda disk: disk.make(folder))

    def reserve(self, name: str, size: int) -> None:
        self._both(lambda disk: disk.reserve(name, size))

    def cut(self, name: str, size: int) -> None:
        self._both(lambda disk: disk.cut(name, size))

    def put(self, name: str, start: int, data: bytes) -> None:
        self._both(lambda disk: disk.put(name, start, data))

    def write(self, name: str, data: bytes) -> None:
        self._both(lambda disk: disk.write(name, data))

    def sync(self, name: str) -> None:
        self._both(lambda disk: disk.sync(name))

    def sync_names(self, folder: str) -> None:
        self._both(lambda disk: disk.sync_names(folder))

    def rename(self, old: str, new: str) -> None:
        self._both(lambda disk: disk.rename(old, new))

    def link(self, name: str, second: str) -> None:
        self._both(lambda disk: disk.link(name, second))

    def remove(self, name: str) -> None:
        self._both(lambda disk: disk.remove(name))

    def remove_folder(self, name: str) -> None:
        self._both(lambda disk: disk.remove_folder(name))

    def _both(self, does: Callable[[ShelfDisk], object]) -> None:
        self._supply.operate()
        does(self._mirror)
        does(ShelfDisk(self.top))


class Machine:
    """A box whose disks are mirrored.

    Args:
        folder: of the box.
        releases: all that is released.
    """

    def __init__(self, folder: Path, releases: Path) -> None:
        self._folder, self._releases = folder, releases
        self._small, self._large = FakeDisk(), FakeShelfDisk()

    def run(self, scenario: Scenario, at: int | None) -> bool:
        """Run a change; whether the power was cut in it."""
        supply, here = Supply(at), self._folder / "state" / FOLDER
        disks = MirroredDisk(here, supply, self._small), MirroredShelfDisk(here, supply, self._large)
        try:
            box = Box(self._folder, self._releases, disks, scenario.fails)
        except PowerCut:
            return True
        box.start()
        box.ask(scenario, self._releases)
        box.until_over(scenario.number, lambda: supply.is_off)
        return supply.is_off

    def settle(self) -> None:
        """Some time later: all is on the disk."""
        self._small = FakeDisk({name: data[0] for name, data in self._small._names.items()})
        self._large = self._large.copy()

    def lay_out(self, folder: Path, dice: random.Random) -> None:
        """What is on its disk after the cut, as files."""
        small, large = self._small.after_power_cut(dice), self._large.after_power_cut(dice)
        top = folder / "state" / FOLDER
        top.mkdir(parents=True)
        first: dict[int, Path] = {}
        for name, node in sorted(large._names.items()):
            path = top / name
            if node is None:
                path.mkdir(exist_ok=True)
            elif id(node) in first:
                path.hardlink_to(first[id(node)])
            else:
                path.write_bytes(node.data)
                first[id(node)] = path
        for name, held in small._names.items():
            (top / name).write_bytes(held[0])


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("releases")
    write_releases(top)
    return top


@pytest.fixture(autouse=True)
def _cuts_are_no_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)


def cuts(folder: Path, releases: Path, name: str, step: int) -> set[str]:
    """What every ``step``-th cut ends as."""
    scenario, ends, operation = SCENARIOS[name], set(), 0
    while True:
        here = folder / str(operation)
        here.mkdir()
        machine = Machine(here, releases)
        if scenario.before == "updated":
            assert not machine.run(Scenario("2.0.0"), None)
            machine.settle()
        cut = machine.run(scenario, operation)
        for seed in range(2):
            after = here / f"after-{seed}"
            machine.lay_out(after, random.Random(1000 * operation + seed))
            ends.add(what_is_left(after, releases, scenario))
        shutil.rmtree(here)
        if not cut:
            return ends
        operation += step


MIRRORED = [name for name, scenario in SCENARIOS.items() if scenario.before in {"nothing", "updated"}]


@pytest.mark.parametrize("name", MIRRORED)
def test_a_power_cut_leaves_one_good_set(tmp_path: Path, releases: Path, name: str) -> None:
    assert cuts(tmp_path, releases, name, step=7) == ENDS[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", MIRRORED)
def test_a_power_cut_after_every_operation_leaves_one_good_set(tmp_path: Path, releases: Path, name: str) -> None:
    assert cuts(tmp_path, releases, name, step=1) == ENDS[name]
