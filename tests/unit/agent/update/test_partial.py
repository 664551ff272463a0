"""A file on its way: what a checkpoint says is there is there."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from agent.update.partial import Partial
from agent.update.shelf import Shelf
from tests.fakes.disk import PowerCut
from tests.fakes.shelf_disk import FakeShelfDisk
from tests.unit.agent.update.shelves import blob

DATA = bytes(range(200))
SEEDS = range(40)


def begun(disk: FakeShelfDisk) -> Partial:
    partial = Shelf(disk).partial(blob(DATA))
    partial.begin(lambda: None)
    return partial


def finished(partial: Partial) -> bool:
    partial.add(DATA[partial.done :])
    return partial.finish()


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_kept_is_there_after_a_power_cut_and_right(seed: int) -> None:
    disk = FakeShelfDisk()
    partial = begun(disk)
    partial.tag = '"1"'
    partial.add(DATA[:50])
    partial.keep()
    partial.add(DATA[50:90])
    partial.keep()
    partial.add(DATA[90:150])
    again = begun(disk.after_power_cut(random.Random(seed)))
    assert (again.done, again.tag) == (90, '"1"')
    assert finished(again)


@pytest.mark.parametrize("again", [Partial.restart, Partial.throw_away])
def test_nothing_is_taken_for_kept_after_a_new_beginning(again: Callable[[Partial], None]) -> None:
    def work(disk: FakeShelfDisk) -> None:
        partial = begun(disk)
        partial.add(b"x" * 120)
        partial.keep()
        again(partial)
        partial.add(DATA[:70])

    clean = FakeShelfDisk()
    work(clean)
    for operation in range(len(clean.operations) + 1):
        for seed in SEEDS:
            disk = FakeShelfDisk()
            disk.fail_in = operation
            try:
                work(disk)
                before = False
            except PowerCut:
                before = True
            later = begun(disk.after_power_cut(random.Random(seed)))
            assert later.done in ({0, 120} if before else {0})
            if later.done:
                later.restart()
            assert finished(later)


def test_a_checkpoint_comes_with_every_so_many_bytes_and_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.update.partial._EVERY_BYTES", 100)
    now = 0.0
    disk = FakeShelfDisk()
    partial = Shelf(disk, lambda: now).partial(blob(DATA))
    partial.begin(lambda: None)
    kept = []
    for seconds in (1, 1, 40, 1, 1):
        now += seconds
        partial.add(DATA[partial.done : partial.done + 30])
        kept.append(sum(operation.startswith("rename") for operation in disk.operations))
    assert kept == [0, 0, 1, 1, 1]
    partial.add(DATA[partial.done :])
    assert sum(operation.startswith("rename") for operation in disk.operations) == 2


@pytest.mark.parametrize("record", [b"", b"{}", b'{"done": -1}', b'{"done": 201}', b"\xff", b'{"done": 50, "tag": 7}'])
def test_a_record_that_says_nonsense_is_none(record: bytes) -> None:
    disk = FakeShelfDisk()
    partial = begun(disk)
    partial.add(DATA[:100])
    partial.keep()
    disk.write(f"partial/{blob(DATA).sha256}.json", record)
    again = begun(disk)
    assert again.done == 0
    assert finished(again)


def test_a_file_that_is_shorter_than_its_record_is_begun_anew() -> None:
    disk = FakeShelfDisk()
    partial = begun(disk)
    partial.add(DATA[:100])
    partial.keep()
    disk.cut(f"partial/{blob(DATA).sha256}", 99)
    assert begun(disk).done == 0
