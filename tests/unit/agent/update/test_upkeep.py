"""Between two attempts: room is made, and what is signed is asked for, rarely but for a box that awaits keys."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from agent.update.errors import UpdateError, UpdateWaitsError
from agent.update.ports import Release
from agent.update.rules import InstalledModel
from agent.update.shelf import Shelf
from agent.update.shelf_disk import ShelfDisk
from agent.update.upkeep import ASK_SECONDS, Upkeep
from tests.unit.agent.update.attempts import installed

HOUR = 3600.0


class Signed:
    """What is released: nothing is wrong with it, unless the test says so."""

    def __init__(self) -> None:
        self.asked = 0
        self.problem: Exception | None = None
        self.found: Exception | None = None
        self.ends: str | None = None

    def refresh(self) -> None:
        self.asked += 1
        if self.problem is not None:
            raise self.problem

    def find(self, model: str, version: str) -> Release:
        raise self.found or UpdateError("unknown_release", f"{model} {version} is not there")

    def warning(self) -> str | None:
        return self.ends


class Rig:
    def __init__(self, folder: Path, *, at_once: bool = False) -> None:
        self.now = 0.0
        self.keep: list[str] = []
        self.collected: list[frozenset[str]] = []
        self.signed: Signed | None = Signed()
        self.runs: Mapping[str, InstalledModel] = {"main": installed()}
        collected = self.collected

        class NotingShelf(Shelf):
            def collect(self, keep: Collection[str], wanted: Collection[str] = ()) -> None:
                assert not wanted
                collected.append(frozenset(keep))

        shelf = NotingShelf(ShelfDisk(folder))
        self.upkeep = Upkeep(
            shelf,
            lambda: self.keep,
            lambda: self.runs,
            lambda: self.signed,
            lambda: self.now,
            lambda: 0.5,
            at_once=at_once,
        )

    @property
    def asked(self) -> int:
        assert self.signed is not None
        return self.signed.asked

    def call(self, seconds: float = 0.0) -> float:
        self.now += seconds
        return self.upkeep()


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_what_is_signed_is_asked_for_within_an_hour_and_then_once_a_day_at_the_most(rig: Rig) -> None:
    rig.call()
    assert rig.asked == 0
    rig.call(HOUR)
    assert rig.asked == 1
    rig.call(ASK_SECONDS / 2)
    assert rig.asked == 1
    rig.call(ASK_SECONDS / 2)
    assert rig.asked == 2


def test_a_server_that_is_away_is_asked_again_after_an_hour(rig: Rig) -> None:
    assert rig.signed is not None
    rig.signed.problem = UpdateWaitsError("nobody answers", 30.0)
    rig.call(HOUR)
    rig.call(HOUR / 2)
    assert rig.asked == 1
    rig.call(HOUR / 2)
    assert rig.asked == 2


@pytest.mark.parametrize(
    "problem", [UpdateWaitsError("nobody answers", 30.0), UpdateError("metadata_expired", "the clock is at 1970")]
)
def test_a_box_that_does_not_know_who_may_sign_asks_at_once_and_every_minute_until_it_is_answered(
    tmp_path: Path, problem: Exception
) -> None:
    rig = Rig(tmp_path, at_once=True)
    assert rig.signed is not None
    rig.signed.problem = problem
    assert rig.call() <= 60.0
    rig.call(60.0)
    assert rig.asked == 2
    rig.signed.problem = None
    rig.call(60.0)
    rig.call(HOUR)
    assert rig.asked == 3


def test_a_model_that_runs_and_was_withdrawn_is_told_with_metadata_that_ends_soon(rig: Rig) -> None:
    assert rig.signed is not None
    rig.signed.found, rig.signed.ends = UpdateError("withdrawn", "it was withdrawn: counts vans twice"), "ends soon"
    rig.call(HOUR)
    assert rig.upkeep.problems == ("ends soon", "m 2.0.0 runs, and it was withdrawn: counts vans twice")
    rig.signed.found = rig.signed.ends = None
    rig.call(ASK_SECONDS)
    assert rig.upkeep.problems == ()


def test_metadata_that_is_not_trusted_is_told(rig: Rig) -> None:
    assert rig.signed is not None
    rig.signed.problem = UpdateError("metadata_rollback", "older than what was seen")
    rig.call(HOUR)
    assert rig.upkeep.problems == ("older than what was seen",)


def test_a_box_that_takes_nothing_signed_asks_nobody_and_nothing_fails(rig: Rig) -> None:
    rig.signed = None
    assert 0 < rig.call(HOUR) <= 600.0
    assert rig.upkeep.problems == ()


def test_room_is_made_when_other_models_are_to_stay_and_never_where_none_is_known(rig: Rig) -> None:
    rig.call()
    assert rig.collected == []
    rig.keep = ["a"]
    rig.call()
    rig.call()
    rig.keep = ["a", "b"]
    rig.call()
    assert rig.collected == [{"a"}, {"a", "b"}]


def test_a_bug_in_it_ends_nothing(rig: Rig) -> None:
    assert rig.signed is not None
    rig.signed.problem = ZeroDivisionError("oops")
    assert rig.call(HOUR) > 0
