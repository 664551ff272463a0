"""Rollouts from their making to their end, over a real database, with boxes that answer as real ones do."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from contracts.manifest import Artifact
from fleet.enrolment.ending import decommission
from fleet.rollout.acting import RolloutConflictError, act
from fleet.rollout.creating import create_rollout
from fleet.rollout.release import RolloutRelease
from fleet.rollout.rules import Action, ActionRefusedError
from fleet.rollout.spec import RolloutSpec, parse_waves
from fleet.rollout.view import boxes
from fleet.store import penalties, rollout_events
from fleet.store import rollouts as store
from fleet.store.audit import AuditLog, Author
from fleet.store.database import Database
from fleet.store.rollouts import Rollout
from tests.fakes.rollout_fleet import NEW, OLD, FakeBox, FakeFleet, count_boxes

JETSON = {"arch": "aarch64", "jetpack": "6.1", "gpu.sm": 87, "runtime.tensorrt": "10.3.0"}
PC = {"arch": "x86_64", "cpu.isa": ["avx2"], "runtime.openvino": "2026.4"}
ADA = Author("ada", "cli")
JETSONS, PCS = "jetson-sm87-jp6", "x86_64-avx2"


@pytest.fixture
def fleet(tmp_path: Path) -> FakeFleet:
    return FakeFleet(Database(str(tmp_path / "fleet.db")))


def artifact(target: str, backend: str) -> Artifact:
    """One that needs nothing but its runtime."""
    return Artifact(
        id=f"{target}/fp16",
        target=target,
        backend=backend,
        precision="fp16",
        files=(),
        entry="model",
        requires=(),
        inputs=(),
        outputs=(),
    )


RELEASE = RolloutRelease(
    "m", "1", "f" * 64, (artifact("jetson-orin-jp6", "tensorrt"), artifact("x86-openvino", "openvino"))
)


def spec(**more: Any) -> RolloutSpec:
    usual: dict[str, Any] = {
        "model": "m",
        "version": "1",
        "manifest": "f" * 64,
        "artifacts": (NEW,),
        "targets": RELEASE.targets,
        "waves": parse_waves("1,25%,100%"),
        "soak_seconds": 60,
        "silent_after_seconds": 30,
        "approval": False,
    }
    return RolloutSpec(**(usual | more))


def start(fleet: FakeFleet, **more: Any) -> int:
    number, _ = create_rollout(fleet.database, spec(**more), RELEASE, ADA, fleet.now_ms)
    return number


def stands(fleet: FakeFleet, number: int) -> Rollout:
    with fleet.database.reading() as connection:
        found = store.get(connection, number)
        assert store.tally(connection, number) == count_boxes(connection, number)
    assert found is not None
    return found


def classes(fleet: FakeFleet, number: int) -> dict[str, str]:
    with fleet.database.reading() as connection:
        return {each.hardware_class: each.state for each in store.classes(connection, number)}


def states(fleet: FakeFleet, number: int) -> Counter[str]:
    with fleet.database.reading() as connection:
        return Counter(box.state for box in store.boxes(connection, number, None))


def running(fleet: FakeFleet) -> Counter[str]:
    return Counter(box.artifact for box in fleet.boxes.values())


def soak(fleet: FakeFleet, times: int = 1) -> None:
    for _ in range(times):
        fleet.work()
        fleet.later(61)
        fleet.work()


def do(fleet: FakeFleet, number: int, action: Action, revision: int | None = None) -> Rollout:
    return act(fleet.database, number, action, ADA, fleet.now_ms, revision=revision)


def test_a_good_model_goes_through_the_waves_and_ends_at_every_box(fleet: FakeFleet) -> None:
    fleet.add("j", 8, JETSON)
    fleet.add("p", 20, PC)
    number = start(fleet)
    fleet.work()
    assert running(fleet) == {OLD: 26, NEW: 2}  # a canary of each class
    soak(fleet)
    assert running(fleet) == {OLD: 21, NEW: 7}
    soak(fleet)
    assert running(fleet) == {NEW: 28}
    soak(fleet)
    rollout = stands(fleet, number)
    assert (rollout.state, rollout.ended_ms) == ("completed", fleet.now_ms)
    assert states(fleet, number) == {"committed": 28}


def test_nothing_is_opened_before_the_wave_has_soaked(fleet: FakeFleet) -> None:
    fleet.add("p", 20, PC)
    start(fleet)
    fleet.work()
    fleet.later(59)
    fleet.work()
    assert running(fleet)[NEW] == 1


def rolls_back_on(facts: dict[str, Any]) -> Any:
    return lambda box, _attempt: "rolled_back" if box.facts == facts else "committed"


def test_a_model_that_fails_on_one_class_is_stopped_there_at_the_canary_and_goes_on_elsewhere(fleet: FakeFleet) -> None:
    fleet.behaviour = rolls_back_on(JETSON)
    fleet.add("j", 40, JETSON)
    fleet.add("p", 20, PC)
    number = start(fleet)
    soak(fleet, 4)
    assert classes(fleet, number) == {JETSONS: "halted", PCS: "passed"}
    assert running(fleet) == {OLD: 40, NEW: 20}
    assert sum(bool(box.attempts) for box in fleet.boxes.values() if box.facts == JETSON) == 1
    assert stands(fleet, number).state == "halted"


def test_a_halt_of_one_class_can_stop_them_all_and_take_back_what_runs(fleet: FakeFleet) -> None:
    fleet.behaviour = rolls_back_on(JETSON)
    fleet.add("j", 4, JETSON)
    fleet.add("p", 20, PC)
    number = start(fleet, halt="all", on_halt="revert")
    soak(fleet, 3)
    assert stands(fleet, number).state == "reverted"
    assert running(fleet) == {OLD: 24}
    assert set(classes(fleet, number).values()) == {"reverted"}


def test_why_a_model_was_taken_back_is_still_to_be_seen_afterwards(fleet: FakeFleet) -> None:
    fleet.behaviour = rolls_back_on(JETSON)
    fleet.add("j", 4, JETSON)
    fleet.add("p", 4, PC)
    number = start(fleet, on_halt="revert")
    soak(fleet, 4)
    rollout = stands(fleet, number)
    assert (rollout.state, classes(fleet, number)) == ("completed", {JETSONS: "reverted", PCS: "passed"})
    assert rollout.reason == f"{JETSONS}: 1 of 1 box failed, at most 1% may (fps_low)"
    with fleet.database.reading() as connection:
        (canary,) = store.boxes(connection, number, None, ["reverted"])
        (halted,) = (each for each in rollout_events.newest(connection, number, 50) if each.what == "halted")
    assert (canary.code, canary.reason) == ("fps_low", "the box took it and went back")
    assert halted.detail.endswith("(fps_low)")


def test_a_model_that_a_person_takes_back_says_who_and_its_boxes_have_no_code(fleet: FakeFleet) -> None:
    fleet.add("p", 4, PC)
    number = start(fleet)
    soak(fleet, 4)
    do(fleet, number, "revert")
    fleet.work()
    rollout = stands(fleet, number)
    assert (rollout.state, rollout.reason) == ("reverted", "revert by ada")
    with fleet.database.reading() as connection:
        assert {box.code for box in store.boxes(connection, number, None)} == {None}


def test_a_box_that_returns_after_the_halt_does_not_take_what_was_stopped(fleet: FakeFleet) -> None:
    fleet.behaviour = lambda _box, _attempt: "rolled_back" if running(fleet)[NEW] else "committed"
    fleet.add("p", 20, PC)
    fleet.cut(f"p-{n}" for n in range(10, 20))
    fleet.later(1)
    number = start(fleet, waves=parse_waves("1,100%"))
    soak(fleet, 2)
    assert classes(fleet, number) == {PCS: "halted"}
    fleet.back(f"p-{n}" for n in range(10, 20))
    fleet.work()
    assert not any(version == "1" for n in range(10, 20) for version, _ in fleet.boxes[f"p-{n}"].attempts)
    do(fleet, number, "abort")
    fleet.work()
    assert stands(fleet, number).state == "aborted"


def test_boxes_that_fall_silent_halt_it(fleet: FakeFleet) -> None:
    fleet.behaviour = lambda _box, _attempt: None
    fleet.add("p", 20, PC)
    number = start(fleet)
    fleet.work()
    fleet.later(10)
    fleet.work()
    assert classes(fleet, number) == {PCS: "open"}
    soak(fleet)
    assert classes(fleet, number) == {PCS: "halted"}
    assert sum(bool(box.attempts) for box in fleet.boxes.values()) == 1


def test_nobody_is_silent_while_nobody_listens_or_what_came_is_not_taken_in_yet(fleet: FakeFleet) -> None:
    fleet.behaviour = lambda _box, _attempt: None
    fleet.add("p", 20, PC)
    fleet.later(1)
    number = start(fleet)
    fleet.work()
    deaf_since = fleet.now_ms
    fleet.later(600)
    fleet.listens(0, deaf_since)  # messages wait in the broker
    fleet.work()
    assert classes(fleet, number) == {PCS: "open"}
    fleet.listens(fleet.now_ms, fleet.now_ms)  # the broker is back
    fleet.work()
    assert classes(fleet, number) == {PCS: "open"}
    fleet.now_ms += 31_000
    fleet.listens(fleet.now_ms - 31_000, fleet.now_ms)
    fleet.work()
    assert classes(fleet, number) == {PCS: "halted"}


def test_a_canary_that_is_offline_proves_nothing_and_the_rest_waits(fleet: FakeFleet) -> None:
    fleet.add("p", 20, PC, online=False)
    fleet.later(1)
    number = start(fleet)
    soak(fleet, 3)
    assert classes(fleet, number) == {PCS: "open"}
    assert states(fleet, number) == {"offered": 1, "waiting": 19}


def test_boxes_that_are_offline_hold_nothing_up_and_get_it_when_they_return(fleet: FakeFleet) -> None:
    fleet.add("p", 20, PC)
    fleet.cut(f"p-{n}" for n in range(15, 20))
    number = start(fleet)
    soak(fleet, 4)
    assert stands(fleet, number).state == "completed"
    assert running(fleet) == {NEW: 15, OLD: 5}
    fleet.back(f"p-{n}" for n in range(15, 20))
    fleet.work()
    assert running(fleet) == {NEW: 20}
    assert states(fleet, number) == {"committed": 20}


def test_a_box_that_fails_for_the_moment_is_offered_it_again_and_then_no_more(fleet: FakeFleet) -> None:
    fleet.behaviour = lambda _box, attempt: "failed" if attempt == 0 else "committed"
    fleet.add("p", 4, PC)
    number = start(fleet)
    soak(fleet, 4)
    assert states(fleet, number) == {"committed": 4}
    assert all(len(box.attempts) == 2 for box in fleet.boxes.values())


def test_a_box_that_never_gets_it_fails_once_its_retries_are_used_up(fleet: FakeFleet) -> None:
    fleet.behaviour = lambda _box, _attempt: "failed"
    fleet.add("p", 4, PC)
    number = start(fleet, retries=2)
    soak(fleet, 2)
    assert states(fleet, number) == {"failed": 1, "waiting": 3}
    assert [len(box.attempts) for box in fleet.boxes.values() if box.attempts] == [3]


def test_a_box_that_runs_nothing_halts_it_whatever_the_limits(fleet: FakeFleet) -> None:
    fleet.behaviour = lambda box, _attempt: "rollback_failed" if box.device == "p-0" else "committed"
    fleet.add("p", 10, PC)
    number = start(fleet, max_failed=1.0, min_committed=0.0, waves=parse_waves("100%"))
    fleet.work()
    assert classes(fleet, number) == {PCS: "halted"}
    assert states(fleet, number)["broken"] == 1


def test_who_resumes_accepts_the_failures_so_far_and_no_more(fleet: FakeFleet) -> None:
    fleet.behaviour = lambda box, _attempt: "rolled_back" if int(box.device[2:]) in BAD else "committed"
    fleet.add("p", 20, PC)
    BAD.clear()
    number = start(fleet)
    soak(fleet)
    tried = {box.device for box in fleet.boxes.values() if box.attempts}
    waiting = [int(name[2:]) for name in fleet.boxes if name not in tried]
    BAD.update(waiting[:1])
    soak(fleet)
    assert classes(fleet, number) == {PCS: "halted"}
    do(fleet, number, "resume")
    soak(fleet, 2)
    assert stands(fleet, number).state == "completed"
    assert states(fleet, number) == {"committed": 19, "failed": 1}


BAD: set[int] = set()


def test_of_a_box_that_came_to_no_end_is_told_what_it_is_at(fleet: FakeFleet) -> None:
    fleet.behaviour = lambda _box, _attempt: None
    fleet.add("p", 1, PC)
    number = start(fleet)
    fleet.work()
    (box,) = fleet.boxes.values()
    (offered,) = boxes(fleet.database, number, None)
    assert (offered.state, offered.reason) == ("offered", "")
    waits = {"text": "12 of 48 MB", "fraction": 0.25}
    revision = offered.model_revision
    box.update = {"attempt": 1, "epoch": box.epoch, "model_revision": revision, "state": "fetch", "progress": waits}
    fleet.say([box.report()])
    assert [each.reason for each in boxes(fleet.database, number, None)] == ["fetch: 12 of 48 MB"]
    box.update |= {"model_revision": revision + 1}
    fleet.say([box.report()])
    assert "12 of 48 MB" not in boxes(fleet.database, number, None)[0].reason, "that is another attempt"


def test_a_clock_that_is_set_back_hides_no_silence_for_longer_than_silence_takes(fleet: FakeFleet) -> None:
    fleet.behaviour = lambda _box, _attempt: None
    fleet.add("p", 5, PC)
    number = start(fleet)
    fleet.work()
    fleet.listens_and_flushes()
    assert len(tried(fleet)) == 1
    fleet.now_ms -= 86_400_000
    fleet.listens_and_flushes()
    fleet.now_ms += 31_000  # silent_after is 30 s
    fleet.listens_and_flushes()
    fleet.work()
    assert classes(fleet, number) == {PCS: "halted"}


def test_who_accepts_silent_boxes_accepts_no_later_failure(fleet: FakeFleet) -> None:
    fleet.add("p", 60, PC)
    fleet.behaviour = lambda _box, _attempt: None if len(tried(fleet)) in {1, 2} else "committed"
    number = start(fleet, max_failed=0.1)
    soak(fleet, 2)
    assert classes(fleet, number) == {PCS: "halted"}, "two of fifteen are silent"
    do(fleet, number, "resume")
    fleet.behaviour = lambda _box, _attempt: "rollback_failed" if len(tried(fleet)) == 15 else "committed"
    soak(fleet, 2)
    assert states(fleet, number)["broken"] == 1
    assert classes(fleet, number) == {PCS: "halted"}


def test_a_silent_box_that_was_accepted_and_comes_back_is_accepted_no_more(fleet: FakeFleet) -> None:
    fleet.behaviour = lambda _box, _attempt: None
    fleet.add("p", 5, PC)
    number = start(fleet)
    soak(fleet)
    do(fleet, number, "resume")
    (silent,) = tried(fleet)
    fleet.behaviour = lambda box, _attempt: "rolled_back" if box.device == silent else "committed"
    fleet.back([silent])
    fleet.work()
    assert states(fleet, number)["failed"] == 1
    assert classes(fleet, number) == {PCS: "halted"}


def tried(fleet: FakeFleet) -> set[str]:
    return {box.device for box in fleet.boxes.values() if box.attempts}


def test_a_box_that_failed_in_another_slot_holds_no_wave_up_and_gets_it_after_its_time(fleet: FakeFleet) -> None:
    fleet.add("p", 4, PC)
    number = start(fleet, waves=parse_waves("1,100%"))
    fleet.work()
    late = min(set(fleet.boxes) - tried(fleet))
    with fleet.database.writing() as connection:
        penalties.punish(connection, {late: "other 1: fps_low"}, fleet.now_ms, fleet.now_ms + 3_600_000)
    soak(fleet, 3)
    assert stands(fleet, number).state == "completed"
    assert running(fleet) == {NEW: 3, OLD: 1}
    fleet.later(3601)
    fleet.work()
    assert running(fleet) == {NEW: 4}


def test_failed_boxes_are_tried_again_when_a_person_asks_for_it(fleet: FakeFleet) -> None:
    fleet.behaviour = lambda _box, attempt: "rolled_back" if attempt == 0 else "committed"
    fleet.add("p", 2, PC)
    number = start(fleet)
    soak(fleet)
    assert states(fleet, number) == {"failed": 1, "waiting": 1}
    do(fleet, number, "retry")
    do(fleet, number, "resume")
    soak(fleet)
    assert states(fleet, number)["committed"] >= 1


def test_a_completed_rollout_can_be_taken_back(fleet: FakeFleet) -> None:
    fleet.add("p", 10, PC)
    number = start(fleet)
    soak(fleet, 4)
    assert running(fleet) == {NEW: 10}
    do(fleet, number, "revert")
    fleet.work()
    assert running(fleet) == {OLD: 10}
    assert stands(fleet, number).state == "reverted"
    assert states(fleet, number) == {"reverted": 10}


def test_an_aborted_rollout_leaves_what_is_committed_and_offers_nothing_more(fleet: FakeFleet) -> None:
    fleet.add("p", 20, PC)
    number = start(fleet)
    soak(fleet)
    do(fleet, number, "abort")
    soak(fleet, 2)
    rollout = stands(fleet, number)
    assert (rollout.state, rollout.ended_ms is not None) == ("aborted", True)
    assert running(fleet) == {NEW: 5, OLD: 15}
    assert states(fleet, number) == {"committed": 5, "withdrawn": 15}


def test_a_paused_rollout_opens_nothing_until_it_is_resumed(fleet: FakeFleet) -> None:
    fleet.add("p", 20, PC)
    number = start(fleet)
    fleet.work()
    do(fleet, number, "pause")
    soak(fleet, 3)
    assert running(fleet)[NEW] == 1
    do(fleet, number, "resume")
    soak(fleet, 3)
    assert running(fleet)[NEW] == 20


def test_nothing_is_sent_before_somebody_approves(fleet: FakeFleet) -> None:
    fleet.add("p", 4, PC)
    number = start(fleet, approval=True)
    soak(fleet)
    assert (stands(fleet, number).state, running(fleet)[NEW]) == ("draft", 0)
    do(fleet, number, "approve")
    fleet.work()
    assert running(fleet)[NEW] == 1


def test_of_two_people_who_act_at_once_the_second_is_told_how_it_stands(fleet: FakeFleet) -> None:
    fleet.add("p", 4, PC)
    number = start(fleet)
    seen = stands(fleet, number).revision
    do(fleet, number, "pause", seen)
    with pytest.raises(RolloutConflictError) as caught:
        do(fleet, number, "revert", seen)
    assert caught.value.rollout.state == "paused"
    with pytest.raises(ActionRefusedError, match="resume"):
        do(fleet, number, "approve")
    actions = [each.entry.action for each in AuditLog(fleet.database).newest(9)]
    assert actions == ["rollout.pause", "rollout.create"]


def test_a_box_that_failed_is_left_out_of_the_next_rollout_until_its_time_is_over(fleet: FakeFleet) -> None:
    fleet.behaviour = lambda _box, _attempt: "rolled_back"
    fleet.add("p", 1, PC)
    number = start(fleet, penalty_seconds=3600)
    soak(fleet)
    do(fleet, number, "abort")
    fleet.work()
    _, planned = create_rollout(fleet.database, spec(), RELEASE, ADA, fleet.now_ms)
    assert planned.boxes == 0
    fleet.later(3601)
    _, planned = create_rollout(fleet.database, spec(), RELEASE, ADA, fleet.now_ms)
    assert planned.boxes == 1


def test_a_box_is_in_one_rollout_of_a_slot_at_a_time(fleet: FakeFleet) -> None:
    fleet.add("p", 3, PC)
    first = start(fleet)
    _, planned = create_rollout(fleet.database, spec(version="2"), RELEASE, ADA, fleet.now_ms)
    assert (planned.boxes, {number: len(boxes) for number, boxes in planned.busy.items()}) == (0, {first: 3})


def test_boxes_that_can_run_no_artifact_are_left_out_and_named(fleet: FakeFleet) -> None:
    fleet.add("p", 2, PC)
    fleet.add("q", 3, {"arch": "armv7l"})
    _, planned = create_rollout(fleet.database, spec(), RELEASE, ADA, fleet.now_ms)
    assert planned.boxes == 2
    assert any("3 boxes fit no artifact" in note for note in planned.notes)


def test_a_box_that_stops_running_what_it_committed_counts_as_failed(fleet: FakeFleet) -> None:
    fleet.add("p", 20, PC)
    number = start(fleet)
    fleet.work()
    canary: FakeBox = next(box for box in fleet.boxes.values() if box.artifact == NEW)
    canary.artifact = OLD
    soak(fleet)
    assert classes(fleet, number) == {PCS: "halted"}
    assert running(fleet) == {OLD: 20}


def test_any_controller_goes_on_where_another_one_died(fleet: FakeFleet) -> None:
    fleet.add("p", 20, PC)
    number = start(fleet)
    for _ in range(40):
        fleet.stepping = fleet.another_controller()
        fleet.turn()
        fleet.later(7)
    for _ in range(3):
        soak(fleet)
    assert stands(fleet, number).state == "completed"
    assert all(box.attempts == [("1", "committed")] for box in fleet.boxes.values())
    revisions = Counter((each["device"], each["model_revision"]) for each in fleet.documents)
    assert max(revisions.values()) == 1


def count(fleet: FakeFleet, minutes: int, per_window: dict[str, int]) -> None:
    """Boxes count for so long, a report every five minutes."""
    for _ in range(minutes // 5):
        fleet.later(300)
        fleet.count(per_window)
        fleet.work()


def test_a_model_that_counts_otherwise_than_its_siblings_is_halted_though_no_box_failed(fleet: FakeFleet) -> None:
    fleet.add("p", 40, PC)
    count(fleet, 60, {OLD: 20, NEW: 20})
    number = start(fleet, max_drift=0.2, soak_seconds=1200)
    count(fleet, 90, {OLD: 20, NEW: 8})
    assert classes(fleet, number) == {PCS: "halted"}
    assert states(fleet, number)["failed"] == 0
    with fleet.database.reading() as connection:
        reason = store.classes(connection, number)[0].reason
    assert "updated boxes count 0.4" in reason
    assert running(fleet)[NEW] < 40


def test_a_model_that_counts_alike_goes_on_whatever_the_day_does(fleet: FakeFleet) -> None:
    fleet.add("p", 40, PC)
    count(fleet, 60, {OLD: 20, NEW: 20})
    number = start(fleet, max_drift=0.2, soak_seconds=1200)
    count(fleet, 120, {OLD: 7, NEW: 7})
    assert stands(fleet, number).state == "completed"


def test_a_box_that_comes_later_joins_a_standing_rollout_of_its_class(fleet: FakeFleet) -> None:
    fleet.add("p", 4, PC)
    number = start(fleet, standing=True)
    soak(fleet, 4)
    assert stands(fleet, number).state == "completed"
    fleet.add("new", 2, PC)
    fleet.add("j", 1, JETSON)  # nothing of its class has proven it
    fleet.work()
    assert running(fleet) == {NEW: 6, OLD: 1}
    assert states(fleet, number) == {"committed": 6}


def test_a_box_that_comes_later_gets_nothing_of_a_rollout_that_does_not_stand(fleet: FakeFleet) -> None:
    fleet.add("p", 4, PC)
    start(fleet)
    soak(fleet, 4)
    fleet.add("new", 2, PC)
    fleet.work()
    assert running(fleet) == {NEW: 4, OLD: 2}


def test_a_box_that_is_decommissioned_leaves_the_rollout_which_goes_on_without_it(fleet: FakeFleet) -> None:
    fleet.behaviour = lambda box, _attempt: None if box.device == "p-19" else "committed"
    fleet.add("p", 20, PC)
    number = start(fleet, waves=parse_waves("100%"))
    fleet.work()
    assert states(fleet, number) == {"committed": 19, "offered": 1}
    decommission(fleet.database, "p-19", ADA, fleet.now_ms)
    del fleet.boxes["p-19"]
    soak(fleet, 2)
    assert stands(fleet, number).state == "completed"
    assert states(fleet, number) == {"committed": 19, "withdrawn": 1}
