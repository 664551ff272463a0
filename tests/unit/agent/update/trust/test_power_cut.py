"""The power goes at any operation on the disk: nothing older is taken afterwards, and the newest always is."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.update.errors import UpdateError
from tests.fakes.disk import FakeDisk, PowerCut
from tests.unit.agent.update.trust.repository import Box, Repository

SEEDS = range(1)


class Shared(FakeDisk):
    """A folder whose operations are counted together with those of another one."""

    def __init__(self, files: dict[str, bytes], left: list[int]) -> None:
        super().__init__(files)
        self._left = left

    def _operate(self) -> None:
        self._left[0] -= 1
        if self._left[0] < 0:
            self._left[0] = 10**9
            raise PowerCut
        super()._operate()


@pytest.fixture(scope="module")
def repository() -> Repository:
    made = Repository("cars")
    made.release("cars", "1.0.0")
    made.publish()
    return made


def boxes(folder: Path, repository: Repository, before: dict[str, bytes], then: dict[str, bytes]) -> Iterator[Box]:
    """A box for every operation at which the power can go while it takes what is there `then`, and what is left."""
    box = Box(folder, repository)
    box.server.files = before
    box.refresh()
    metadata, floors = Box.contents(box.metadata), Box.contents(box.floors)
    operations = 0
    while True:
        for seed in SEEDS:
            left = [operations]
            box.metadata, box.floors = Shared(metadata, left), Shared(floors, left)
            box.server.files = then
            try:
                box.refresh()
            except PowerCut:
                dice = random.Random(seed)
                box.metadata, box.floors = box.metadata.after_power_cut(dice), box.floors.after_power_cut(dice)
                yield box
            else:
                return
        operations += 1


@pytest.mark.parametrize("rotated", [False, True], ids=["same keys", "new keys"])
def test_after_a_power_cut_at_any_operation_the_newest_is_taken_and_nothing_older(
    tmp_path: Path, repository: Repository, rotated: bool
) -> None:
    before = repository.files()
    repository.publish()
    if rotated:
        repository.rotate("timestamp", "snapshot")
    repository.publish()
    then = repository.files()
    cuts = 0
    for box in boxes(tmp_path, repository, before, then):
        cuts += 1
        took = box.version("timestamp")
        floors = Box.contents(box.floors)
        box.server.files = before
        if floors["floors"].count(b'"revision": 2'):
            box.metadata, kept = FakeDisk(), box.metadata  # even without its files
            with pytest.raises(UpdateError) as error:
                box.refresh()
            assert error.value.code == "metadata_rollback"
            box.metadata = kept
        box.server.files = then
        box.refresh()
        assert box.version("timestamp") == repository.timestamp.version
        assert took in {repository.timestamp.version - 2, repository.timestamp.version}
        box.server.files = before
        with pytest.raises(UpdateError):
            box.refresh()
    assert cuts > 4 * 4 * len(SEEDS), "four operations for each of four files at the least"


def test_floors_are_raised_only_once_all_metadata_is_safely_on_the_disk(tmp_path: Path) -> None:
    """So the files of a box are never older than its floors: it is never stuck with them."""
    repository = Repository("cars")
    before = repository.files()
    repository.publish()
    for box in boxes(tmp_path, repository, before, repository.files()):
        raised = any(b'"revision": 2' in data for data in Box.contents(box.floors).values())
        assert not raised or box.version("timestamp") == box.version("snapshot") == box.version("targets") == 2


@pytest.mark.parametrize("folder", ["metadata", "floors"])
def test_a_full_disk_is_said_and_the_next_visit_goes_on(tmp_path: Path, folder: str) -> None:
    repository = Repository("cars")
    box = Box(tmp_path, repository)
    box.refresh()
    repository.publish()
    for operation in range(3):
        disk: FakeDisk = getattr(box, folder)
        disk.full, disk.fail_in = True, operation + (folder == "floors")  # the first one there only settles
        with pytest.raises(UpdateError, match="No space left") as error:
            box.refresh()
        assert error.value.code == "no_space"
    box.refresh()
    assert box.version("timestamp") == 2
