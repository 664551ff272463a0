"""Every rollout that people leave alone comes to an end, or says that it stands still."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import update

from fleet.rollout.spec import parse_waves
from fleet.store.database import Database
from fleet.store.tables import ROLLOUT
from tests.fakes.rollout_fleet import NEW, OLD, FakeFleet
from tests.unit.fleet.rollout.test_engine import PC, PCS, classes, do, running, soak, stands, start, states


@pytest.fixture
def fleet(tmp_path: Path) -> FakeFleet:
    return FakeFleet(Database(str(tmp_path / "fleet.db")))


def test_a_box_joins_a_class_that_was_too_small_for_all_its_waves(fleet: FakeFleet) -> None:
    fleet.add("p", 1, PC)
    number = start(fleet, standing=True)
    soak(fleet, 2)
    assert stands(fleet, number).state == "completed"
    fleet.add("new", 1, PC)
    soak(fleet)
    assert running(fleet) == {NEW: 2}


def test_where_every_canary_is_wanted_otherwise_others_take_their_place(fleet: FakeFleet) -> None:
    fleet.behaviour = lambda _box, _attempt: "superseded" if not running(fleet)[NEW] and _first(fleet) else "committed"
    fleet.add("p", 8, PC)
    number = start(fleet)
    soak(fleet, 6)
    assert stands(fleet, number).state == "completed"
    assert states(fleet, number) == {"superseded": 1, "committed": 7}


def _first(fleet: FakeFleet) -> bool:
    return not any(box.attempts for box in fleet.boxes.values())


def test_a_class_of_which_every_box_is_wanted_otherwise_is_done(fleet: FakeFleet) -> None:
    fleet.behaviour = lambda _box, _attempt: "superseded"
    fleet.add("p", 3, PC)
    number = start(fleet)
    soak(fleet, 6)
    assert (classes(fleet, number), stands(fleet, number).state) == ({PCS: "passed"}, "completed")


def test_a_box_that_cannot_go_back_is_named_and_keeps_nothing_from_its_end(fleet: FakeFleet) -> None:
    fleet.add("p", 4, PC)
    number = start(fleet, waves=parse_waves("100%"))
    fleet.work()
    fleet.going_back = lambda box, _attempt: "rejected" if box.device == "p-1" else "committed"
    do(fleet, number, "revert")
    soak(fleet)
    assert stands(fleet, number).state == "reverted"
    assert states(fleet, number) == {"reverted": 3, "withdrawn": 1}
    assert running(fleet) == {OLD: 3, NEW: 1}


def test_a_box_that_cannot_go_back_for_the_moment_is_told_again(fleet: FakeFleet) -> None:
    fleet.add("p", 4, PC)
    number = start(fleet, waves=parse_waves("100%"), retries=2)
    fleet.work()
    fleet.going_back = lambda _box, attempt: "failed" if attempt < 2 else "committed"
    do(fleet, number, "revert")
    soak(fleet)
    assert states(fleet, number) == {"reverted": 4}


def test_a_box_that_never_gets_back_what_it_ran_is_given_up_once_its_retries_are_used_up(fleet: FakeFleet) -> None:
    fleet.add("p", 1, PC)
    number = start(fleet, waves=parse_waves("100%"), retries=2)
    fleet.work()
    fleet.going_back = lambda _box, _attempt: "failed"
    do(fleet, number, "revert")
    soak(fleet)
    assert (states(fleet, number), stands(fleet, number).state) == ({"withdrawn": 1}, "reverted")
    assert len(fleet.boxes["p-0"].attempts) == 4


def test_an_abort_gives_boxes_that_are_away_their_earlier_wish_in_classes_that_passed_too(fleet: FakeFleet) -> None:
    fleet.add("p", 4, PC)
    fleet.add("q", 1, PC | {"cpu.isa": ["avx512"]}, online=False)
    fleet.cut(["p-3"])
    fleet.later(1)
    number = start(fleet)
    soak(fleet, 4)
    assert classes(fleet, number)[PCS] == "passed"
    assert stands(fleet, number).state == "running"
    do(fleet, number, "abort")
    fleet.work()
    fleet.back(["p-3"])
    soak(fleet)
    assert fleet.boxes["p-3"].artifact == OLD


def test_a_rollout_whose_steps_fail_holds_up_no_other(fleet: FakeFleet) -> None:
    fleet.add("p", 1, PC)
    broken = start(fleet)
    fleet.add("q", 1, PC)
    number = start(fleet)
    with fleet.database.writing() as connection:
        connection.execute(update(ROLLOUT).where(ROLLOUT.c.id == broken).values(spec="of a version to come"))
    with pytest.raises(ValidationError):
        fleet.stepping.turn(fleet.now_ms)
    assert states(fleet, number) == {"offered": 1}


def test_a_failure_that_a_person_accepted_and_has_tried_again_is_accepted_no_more(fleet: FakeFleet) -> None:
    fleet.behaviour = lambda _box, _attempt: "rolled_back"
    fleet.add("p", 4, PC)
    number = start(fleet)
    soak(fleet)
    do(fleet, number, "resume")
    do(fleet, number, "retry")
    soak(fleet)
    assert classes(fleet, number) == {PCS: "halted"}
    assert states(fleet, number) == {"failed": 1, "waiting": 3}
