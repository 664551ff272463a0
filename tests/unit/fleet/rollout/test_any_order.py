"""Rollouts whatever boxes, people, controllers and the time do, in any order."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fleet.rollout.acting import act
from fleet.rollout.rules import ACTIONS, Action, ActionRefusedError
from fleet.rollout.spec import parse_waves
from fleet.store import rollouts as store
from fleet.store.database import Database
from fleet.wanted.restoring import restored
from tests.fakes.rollout_fleet import OLD, FakeBox, FakeFleet, count_boxes, takes_it
from tests.unit.fleet.rollout.test_engine import ADA, JETSON, PC, start

_MEMORY = Path("/dev/shm")
_NAMES = [f"{prefix}-{n}" for prefix, count in (("j", 3), ("p", 5)) for n in range(count)]
_RESTS = {"completed", "aborted", "reverted", "halted", "paused", "draft"}
_ROUNDS = 40

names = st.sampled_from(_NAMES)
ends = st.sampled_from(["committed", "failed", "rolled_back", "rollback_failed", "rejected", "superseded", None])


class AnyOrder(RuleBasedStateMachine):
    """A small fleet."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None)
        self.fleet = FakeFleet(Database(str(Path(self.folder.name) / "fleet.db")), self.ends_as)
        self.fleet.going_back = self.ends_as
        self.ends: dict[str, str | None] = {}
        self.rollouts: list[int] = []
        self.fleet.add("j", 3, JETSON)
        self.fleet.add("p", 5, PC)
        self.fleet.later(1)
        self.controllers = [self.fleet.another_controller() for _ in range(3)]

    def ends_as(self, box: FakeBox, _attempt: int) -> str | None:
        return self.ends.get(box.device, "committed")

    @precondition(lambda self: len(self.rollouts) < 3)
    @rule(
        waves=st.sampled_from(["1,25%,100%", "100%", "2,100%"]),
        slot=st.sampled_from(["main", "main", "night"]),
        halt=st.sampled_from(["class", "all"]),
        on_halt=st.sampled_from(["pause", "revert"]),
        approval=st.booleans(),
        standing=st.booleans(),
    )
    def create(self, waves: str, **more: object) -> None:
        version = str(len(self.rollouts) + 1)
        digest = {"1": "b" * 64}.get(version, version * 64)
        usual = {
            "version": version,
            "manifest": version * 64,
            "artifacts": (digest,),
            "penalty_seconds": 0,
            "deadline_seconds": 600,
        }
        if more["slot"] != "main":  # the boxes run what main says, whatever the slot
            usual["artifacts"] = (OLD, "b" * 64, "2" * 64, "3" * 64)
        self.rollouts.append(start(self.fleet, waves=parse_waves(waves), **(usual | more)))

    @rule(device=names, end=ends)
    def will_end_as(self, device: str, end: str | None) -> None:
        self.ends[device] = end

    @rule(device=names)
    def goes(self, device: str) -> None:
        self.fleet.cut([device])

    @rule(device=names)
    def returns(self, device: str) -> None:
        self.fleet.back([device])

    @precondition(lambda self: self.rollouts)
    @rule(data=st.data(), action=st.sampled_from(ACTIONS))
    def does(self, data: st.DataObject, action: Action) -> None:
        with contextlib.suppress(ActionRefusedError):
            act(self.fleet.database, data.draw(st.sampled_from(self.rollouts)), action, ADA, self.fleet.now_ms)

    @rule(seconds=st.sampled_from([1, 20, 61, 400]))
    def passes(self, seconds: float) -> None:
        self.fleet.later(seconds)

    @rule(controller=st.integers(0, 2))
    def steps(self, controller: int) -> None:
        self.controllers[controller].turn(self.fleet.now_ms)

    @rule(controller=st.integers(0, 2), times=st.integers(1, 4))
    def works(self, controller: int, times: int) -> None:
        self.fleet.stepping = self.controllers[controller]
        for _ in range(times):
            self.fleet.turn()

    @rule()
    def comes_from_a_backup(self) -> None:
        restored(self.fleet.database, ADA, self.fleet.now_ms, force=True)

    @invariant()
    def counts_are_right(self) -> None:
        with self.fleet.database.reading() as connection:
            for number in self.rollouts:
                assert store.tally(connection, number) == count_boxes(connection, number)
                assert all(n > 0 for n in store.tally(connection, number).values())

    @invariant()
    def a_revision_is_of_one_content_and_none_falls(self) -> None:
        said: dict[tuple[str, int, int], str] = {}
        newest: dict[str, tuple[int, int]] = {}
        for each in self.fleet.documents:
            order = (each["epoch"], each["model_revision"])
            models = json.dumps(each["models"], sort_keys=True)
            assert said.setdefault((each["device"], *order), models) == models
            assert newest.get(each["device"], order) <= order
            newest[each["device"]] = order

    def teardown(self) -> None:
        try:
            self.comes_to_rest()
        finally:
            self.fleet.database.close()
            self.folder.cleanup()

    def comes_to_rest(self) -> None:
        """Once all boxes answer and people leave it alone, everything ends or says that it stands still."""
        self.ends.clear()
        self.fleet.behaviour = self.fleet.going_back = takes_it
        self.fleet.back(_NAMES)
        for _ in range(_ROUNDS):
            for _turn in range(50):
                if not self.fleet.turn():
                    break
            else:
                raise AssertionError("it never comes to rest")
            if self._states() <= _RESTS:
                break
            self.fleet.later(61)
        assert self._states() <= _RESTS
        self.counts_are_right()
        self.a_revision_is_of_one_content_and_none_falls()
        self._boxes_run_what_they_should()

    def _states(self) -> set[str]:
        with self.fleet.database.reading() as connection:
            return {found.state for number in self.rollouts if (found := store.get(connection, number)) is not None}

    def _boxes_run_what_they_should(self) -> None:
        with self.fleet.database.reading() as connection:
            specs = {number: store.get(connection, number) for number in self.rollouts}
            for number, rollout in specs.items():
                assert rollout is not None
                if rollout.spec.slot != "main":
                    continue
                rows = store.boxes(connection, number, None)
                at_rest = Counter(box.state for box in rows)
                if rollout.state in {"reverted", "aborted"}:
                    assert not at_rest["offered"], at_rest
                    assert not at_rest["waiting"], at_rest
                gone = {box.device for box in rows if box.state == "reverted"}
                assert not {device for device in gone if self.fleet.boxes[device].artifact in rollout.spec.artifacts}


class AnyOrderAtLength(AnyOrder):
    """The same, for a run that may take minutes."""


def _of(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),
    )


AnyOrder.TestCase.settings = _of(20, 25)
AnyOrderAtLength.TestCase.settings = _of(100, 30)
TestAnyOrder = AnyOrder.TestCase
TestAnyOrderAtLength = pytest.mark.slow(AnyOrderAtLength.TestCase)
