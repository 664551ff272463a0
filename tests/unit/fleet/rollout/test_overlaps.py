"""Rollouts that meet at the same boxes: of other slots, and one after the other of the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.rollout.creating import create_rollout
from fleet.store.database import Database
from tests.fakes.rollout_fleet import NEW, OLD, FakeFleet
from tests.unit.fleet.rollout.test_engine import ADA, PC, RELEASE, do, running, soak, spec, stands, start, states


@pytest.fixture
def fleet(tmp_path: Path) -> FakeFleet:
    return FakeFleet(Database(str(tmp_path / "fleet.db")))


def test_a_rollout_of_another_slot_does_not_supersede_what_boxes_committed(fleet: FakeFleet) -> None:
    fleet.add("p", 4, PC)
    first = start(fleet)
    soak(fleet)
    second = start(fleet, slot="night", waves=spec().waves[-1:])
    soak(fleet, 3)
    assert states(fleet, first) == {"committed": 4}
    assert stands(fleet, first).state == "completed"
    assert states(fleet, second).keys() == {"offered"}  # the boxes of this rig run one slot alone


def test_a_box_goes_back_though_a_rollout_of_another_slot_changed_its_document(fleet: FakeFleet) -> None:
    fleet.add("p", 1, PC)
    first = start(fleet)
    fleet.work()
    fleet.cut(["p-0"])
    do(fleet, first, "revert")
    fleet.work()
    start(fleet, slot="night")
    fleet.work()
    fleet.back(["p-0"])
    soak(fleet)
    assert (states(fleet, first), stands(fleet, first).state) == ({"reverted": 1}, "reverted")


THIRD = "2" * 64


def test_taking_back_an_old_rollout_leaves_what_a_later_one_brought(fleet: FakeFleet) -> None:
    fleet.add("p", 3, PC)
    first = start(fleet)
    soak(fleet, 4)
    second = start(fleet, version="2", manifest="e" * 64, artifacts=(THIRD,))
    fleet.work()
    assert running(fleet) == {NEW: 2, THIRD: 1}
    do(fleet, second, "pause")
    do(fleet, first, "revert")
    soak(fleet, 2)
    assert running(fleet) == {OLD: 2, THIRD: 1}
    assert states(fleet, first) == {"superseded": 1, "reverted": 2}
    assert stands(fleet, first).state == "reverted"


def test_a_box_that_failed_for_the_moment_is_not_offered_the_old_release_after_a_newer_one(fleet: FakeFleet) -> None:
    fleet.add("p", 2, PC)
    fleet.cut(["p-1"])
    first = start(fleet, retries=9)
    soak(fleet, 3)
    assert stands(fleet, first).state == "completed"  # but for the box that is away
    second = start(fleet, version="2", manifest="e" * 64, artifacts=(THIRD,), waves=spec().waves[-1:])
    fleet.work()
    assert running(fleet) == {THIRD: 1, OLD: 1}
    fleet.back(["p-1"])
    soak(fleet, 2)
    assert running(fleet) == {THIRD: 2}
    assert (states(fleet, first), states(fleet, second)) == ({"committed": 1, "superseded": 1}, {"committed": 2})


def test_a_box_that_does_not_come_back_to_be_reverted_is_free_for_the_next_rollout(fleet: FakeFleet) -> None:
    fleet.add("p", 1, PC)
    first = start(fleet)
    fleet.work()
    fleet.cut(["p-0"])
    do(fleet, first, "abort")
    fleet.later(1)
    do(fleet, first, "revert")
    fleet.work()
    assert stands(fleet, first).state == "reverting"
    second, planned = create_rollout(
        fleet.database, spec(version="2", manifest="e" * 64, artifacts=(THIRD,)), RELEASE, ADA, fleet.now_ms
    )
    assert planned.boxes == 1
    soak(fleet, 2)
    assert (states(fleet, first), stands(fleet, first).state) == ({"superseded": 1}, "reverted")
    fleet.back(["p-0"])
    soak(fleet, 2)
    assert stands(fleet, second).state == "completed"
