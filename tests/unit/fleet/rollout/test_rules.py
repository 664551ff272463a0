"""What may be done in each state, and that no order of events leads where nobody should be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fleet.rollout.gate import Verdict
from fleet.rollout.rules import (
    ACTIONS,
    CLASS_STATES,
    ENDS,
    ROLLOUT_STATES,
    Action,
    ActionRefusedError,
    ClassState,
    RolloutState,
    acted,
    after_classes,
    after_reverting,
    allowed,
    class_acted,
    class_halted,
    is_judged,
    judged,
    may_offer,
    may_open,
)
from fleet.rollout.spec import HALTS, ON_HALTS, RolloutSpec
from tests.unit.fleet.rollout.specs import spec

SPECS = st.builds(
    lambda halt, on_halt: spec(halt=halt, on_halt=on_halt), st.sampled_from(HALTS), st.sampled_from(ON_HALTS)
)
VERDICTS = st.sampled_from(["wait", "soak", "pass", "halt"]).map(lambda kind: Verdict(kind, "why"))  # type: ignore[arg-type]
CLASSES = st.lists(st.sampled_from(CLASS_STATES), min_size=1, max_size=4)
HALT = Verdict("halt", "why")


@pytest.mark.parametrize(
    ("state", "actions"),
    [
        ("draft", {"approve", "abort"}),
        ("running", {"pause", "retry", "abort", "revert"}),
        ("paused", {"resume", "retry", "abort", "revert"}),
        ("halted", {"resume", "retry", "abort", "revert"}),
        ("completed", {"revert"}),
        ("aborted", {"revert"}),
        ("reverting", {"abort"}),
        ("reverted", set()),
    ],
)
def test_in_each_state_these_actions_are_possible(state: RolloutState, actions: set[Action]) -> None:
    assert set(allowed(state, ["open"])) == actions


def test_a_rollout_that_runs_is_resumed_where_one_of_its_classes_is_halted() -> None:
    assert "resume" in allowed("running", ["open", "halted"])
    assert acted("resume", "running", ["open", "halted"]) == "running"


@given(st.sampled_from(ROLLOUT_STATES), st.sampled_from(ACTIONS), CLASSES)
def test_an_action_is_done_or_refused_with_what_is_possible(
    state: RolloutState, action: Action, classes: list[ClassState]
) -> None:
    if action in allowed(state, classes):
        assert acted(action, state, classes) in ROLLOUT_STATES
        return
    with pytest.raises(ActionRefusedError) as refused:
        acted(action, state, classes)
    assert refused.value.allowed == allowed(state, classes)
    assert all(one in str(refused.value) for one in (state, action, *allowed(state, classes)))


def test_who_ends_a_pause_forgives_no_halt() -> None:
    assert class_acted("resume", "paused", "halted") == "halted"
    assert class_acted("resume", "running", "halted") == "open"
    assert class_acted("resume", "halted", "halted") == "open"


def test_a_class_goes_through_its_waves() -> None:
    of = spec()
    assert judged("open", Verdict("wait", ""), of, last=False) == "open"
    assert judged("open", Verdict("soak", ""), of, last=False) == "soaking"
    assert judged("soaking", Verdict("wait", ""), of, last=False) == "open"
    assert judged("soaking", Verdict("pass", ""), of, last=False) == "waiting"
    assert judged("soaking", Verdict("pass", ""), of, last=True) == "passed"


@pytest.mark.parametrize("state", ["waiting", "open", "soaking", "passed"])
def test_a_halt_stops_a_class_wherever_it_is(state: ClassState) -> None:
    assert judged(state, HALT, spec(on_halt="pause"), last=False) == "halted"
    assert judged(state, HALT, spec(on_halt="revert"), last=False) == "reverting"


@given(st.sampled_from(["halted", "reverting", "reverted", "aborted"]), VERDICTS, SPECS)
def test_a_class_that_is_stopped_or_over_is_changed_by_no_verdict(
    state: ClassState, verdict: Verdict, of: RolloutSpec
) -> None:
    assert judged(state, verdict, of, last=True) == state
    assert not is_judged("running", state)


@pytest.mark.parametrize(
    ("state", "halted", "reverting"),
    [
        ("waiting", "halted", "reverting"),
        ("open", "halted", "reverting"),
        ("soaking", "halted", "reverting"),
        ("passed", "passed", "reverting"),
        ("halted", "halted", "reverting"),
        ("reverted", "reverted", "reverted"),
    ],
)
def test_a_halt_of_all_stops_the_other_classes(state: ClassState, halted: ClassState, reverting: ClassState) -> None:
    assert class_halted(state, "halted") == halted
    assert class_halted(state, "reverting") == reverting


@pytest.mark.parametrize(
    ("classes", "halt", "expected"),
    [
        (["halted", "open"], "class", "running"),
        (["halted", "passed"], "class", "halted"),
        (["halted", "open"], "all", "halted"),
        (["reverting", "open"], "class", "running"),
        (["reverting", "open"], "all", "reverting"),
        (["reverted", "passed"], "class", "completed"),
        (["reverted", "reverted"], "class", "reverted"),
        (["passed", "passed"], "class", "completed"),
        (["passed", "soaking"], "class", "running"),
        ([], "class", "completed"),
    ],
)
def test_a_rollout_is_what_its_classes_make_of_it(classes: list[ClassState], halt: str, expected: RolloutState) -> None:
    assert after_classes("running", classes, spec(halt=halt)) == expected


@given(st.sampled_from(sorted(ENDS)), CLASSES, SPECS)
def test_no_rule_leaves_an_end(state: RolloutState, classes: list[ClassState], of: RolloutSpec) -> None:
    assert after_classes(state, classes, of) == state
    assert not any(is_judged(state, one) or may_open(state, one) for one in classes)


class Rollouts(RuleBasedStateMachine):
    """A rollout with three classes, each of three waves, under everything that can happen to it."""

    def __init__(self) -> None:
        super().__init__()
        self.state: RolloutState = "draft"
        self.classes: list[ClassState] = ["waiting"] * 3
        self.waves = [-1] * 3
        self.resumed = False

    @initialize(of=SPECS)
    def begin(self, of: RolloutSpec) -> None:
        self.spec = of

    def settle(self) -> None:
        before, self.state = self.state, after_classes(self.state, self.classes, self.spec)
        if before == "running" and self.spec.halt == "all" and self.state in {"halted", "reverting"}:
            self.classes = [class_halted(one, self.state) for one in self.classes]

    @rule(action=st.sampled_from(ACTIONS))
    def act(self, action: Action) -> None:
        before, classes = self.state, list(self.classes)
        if action not in allowed(before, classes):
            return
        self.state = acted(action, before, classes)
        self.classes = [class_acted(action, before, one) for one in classes]
        for was, now in zip(classes, self.classes, strict=True):
            assert was != "halted" or now == "halted" or action in {"resume", "abort", "revert"}
        self.settle()

    @rule(index=st.integers(0, 2), verdict=VERDICTS)
    def judge(self, index: int, verdict: Verdict) -> None:
        if is_judged(self.state, self.classes[index]) and self.waves[index] >= 0:
            was = self.classes[index]
            now = judged(was, verdict, self.spec, last=self.waves[index] == 2)
            assert (verdict.kind == "halt") == (now in {"halted", "reverting"})
            self.classes[index] = now
            self.settle()

    @rule(index=st.integers(0, 2))
    def open(self, index: int) -> None:
        if may_open(self.state, self.classes[index]):
            self.waves[index] += 1
            self.classes[index] = "open"
            assert self.waves[index] < 3

    @precondition(lambda self: "reverting" in self.classes)
    @rule(index=st.integers(0, 2), left=st.integers(0, 1))
    def revert(self, index: int, left: int) -> None:
        self.classes[index] = after_reverting(self.classes[index], left)
        self.settle()

    @invariant()
    def nothing_is_opened_or_offered_that_is_stopped(self) -> None:
        for one in self.classes:
            stopped = self.state not in {"running", "completed"} or one in {
                "halted",
                "reverting",
                "reverted",
                "aborted",
            }
            assert not (stopped and (may_open(self.state, one) or may_offer(self.state, one)))

    @invariant()
    def states_go_together(self) -> None:
        if self.state == "completed":
            assert set(self.classes) <= {"passed", "reverted", "aborted"}
        if self.state == "reverted":
            assert set(self.classes) == {"reverted"}
        if self.state == "aborted":
            assert set(self.classes) <= {"passed", "reverted", "aborted"}
        if self.state == "reverting":
            assert "reverting" in self.classes
        if self.state == "halted":
            assert (
                "halted" in self.classes or "open" in self.classes
            )  # a class that is tried again waits for the resume
        if self.state == "draft":
            assert set(self.classes) == {"waiting"}


TestRollouts: Any = Rollouts.TestCase
