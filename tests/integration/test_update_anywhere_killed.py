"""An update under ``kill -9`` at every operation on the disk, of every step: it always comes to one good set of models.

A real disk, real files and real processes: each operation of a change is one child that is killed there, before it or,
for a write, half way through; then the box is started again, and goes on.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from agent.update.updates import FOLDER
from tests.integration.deadly_disks import DeadlyDisk, DeadlyShelfDisk, Death
from tests.integration.update_boxes import (
    ENDS,
    SCENARIOS,
    Scenario,
    change,
    laid_out,
    what_is_left,
    write_releases,
)


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("releases")
    write_releases(top)
    return top


def dying(folder: Path, releases: Path, scenario: Scenario, operation: int) -> None:
    """A change that ends this process at an operation, where it has as many."""
    here, death = folder / "state" / FOLDER, Death(operation)
    change(folder, releases, scenario, (DeadlyDisk(here, death), DeadlyShelfDisk(here, death)))


def in_child(work: Callable[[], object]) -> bool:
    """Whether it died of a kill."""
    child = os.fork()
    if child == 0:
        code = 1
        with contextlib.suppress(BaseException):
            work()
            code = 0
        os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0
    return os.WIFSIGNALED(status)


def table_of(folder: Path, releases: Path, name: str, step: int) -> list[str]:
    """The ends after a kill at every ``step``-th operation."""
    scenario = SCENARIOS[name]
    before = folder / "before"
    before.mkdir()
    laid_out(before, releases, scenario)
    ends = []
    operation = 0
    while True:
        here = folder / str(operation)
        shutil.copytree(before, here)
        killed = in_child(partial(dying, here, releases, scenario, operation))
        ends.append(what_is_left(here, releases, scenario))
        shutil.rmtree(here)
        if not killed:
            return ends
        operation += step


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_kill_at_an_operation_leaves_one_good_set(tmp_path: Path, releases: Path, name: str) -> None:
    ends = table_of(tmp_path, releases, name, step=41)
    assert set(ends) == ENDS[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_kill_at_every_operation_leaves_one_good_set(tmp_path: Path, releases: Path, name: str) -> None:
    ends = table_of(tmp_path, releases, name, step=1)
    assert set(ends) == ENDS[name]
    assert len(ends) > 9


@pytest.mark.slow
def test_a_thousand_kills_at_random_leave_one_good_set_each_time(tmp_path: Path, releases: Path) -> None:
    """As a box dies that is killed again and again, also within the start after a kill."""
    dice, kills, round_ = random.Random(1), 0, 0
    while kills < 1000:
        name, scenario = dice.choice(list(SCENARIOS.items()))
        here = tmp_path / str(round_)
        here.mkdir()
        laid_out(here, releases, scenario)
        for _ in range(dice.randint(1, 3)):
            kills += in_child(partial(dying, here, releases, scenario, dice.randint(0, 250)))
        assert what_is_left(here, releases, scenario) in ENDS[name] | {f"rejected {scenario.starts_with}"}
        shutil.rmtree(here)
        round_ += 1
