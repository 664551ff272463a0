"""A state changes only for what is said for long, and is unknown where nothing is."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.counting.states import UNKNOWN, Question, StateChange, StateMachine, StateRules, questions_of
from contracts.output_spec import HeadSpec

GATE = Question("state", ("closed", "open", "unknown"))
RULES = StateRules(score=0.6, stay_score=0.45, hold=1.0, unknown=3.0, gap=2.0)
FPS = 10


def a_machine(**more: float) -> StateMachine:
    return StateMachine(GATE, StateRules(**{**vars(RULES), **more}))


def hear(machine: StateMachine, answers: Iterable[str | None], since: float = 0.0) -> list[tuple[float, StateChange]]:
    told = [(since + i / FPS, machine.hear(answer, since + i / FPS)) for i, answer in enumerate(answers)]
    return [(at, change) for at, change in told if change is not None]


def states(told: Sequence[tuple[float, StateChange]]) -> list[tuple[float, str]]:
    return [(round(at, 3), change.state) for at, change in told]


def test_what_is_said_for_long_enough_becomes_the_state_and_what_is_said_for_less_does_not() -> None:
    machine = a_machine()
    assert states(hear(machine, ["closed"] * 10)) == []
    assert machine.state == UNKNOWN
    assert states(hear(machine, ["closed"] * 5, 1.0)) == [(1.0, "closed")]
    blink = ["open"] * 5 + ["closed"] * 5
    assert states(hear(machine, blink * 20, 1.5)) == []
    assert states(hear(machine, ["open"] * 20, 21.5)) == [(22.5, "open")]


def test_one_frame_is_never_enough_however_long_it_stands() -> None:
    machine = a_machine(gap=100.0)
    assert machine.hear("closed", 0.0) is None
    assert machine.hear("open", 60.0) is None
    assert machine.state == UNKNOWN
    assert machine.hear("open", 120.0) == StateChange("state", UNKNOWN, "open", is_entry=False)


def test_an_answer_that_flickers_takes_longer_and_comes_all_the_same() -> None:
    machine = a_machine()
    hear(machine, ["closed"] * 11)
    told = states(hear(machine, (["open"] * 9 + ["closed"]) * 3, 1.1))
    assert [state for _, state in told] == ["open"]
    assert 2.1 < told[0][0] < 2.7


def test_without_certainty_it_becomes_unknown_and_not_a_guess() -> None:
    machine = a_machine()
    hear(machine, ["closed"] * 11)
    assert states(hear(machine, [None] * 40, 1.1)) == [(4.1, UNKNOWN)]
    torn = a_machine()
    hear(torn, ["closed"] * 11)
    assert [state for _, state in states(hear(torn, ["open", "ajar"] * 40, 1.1))] == [UNKNOWN]


def test_an_answer_between_uncertain_frames_becomes_the_state_and_one_that_is_rare_does_not() -> None:
    often: list[str | None] = ["open", None]
    rarely: list[str | None] = ["open", None, None, None, None]
    for answers, state in ((often, "open"), (rarely, UNKNOWN)):
        machine = a_machine()
        hear(machine, ["closed"] * 11)
        hear(machine, answers * 40, 1.1)
        assert machine.state == state


def test_an_entry_is_a_change_between_two_known_states_and_a_beginning_is_none() -> None:
    machine = a_machine()
    told = hear(machine, ["closed"] * 15 + [None] * 40 + ["closed"] * 15 + [None] * 40 + ["open"] * 15)
    assert [(change.before, change.state, change.is_entry) for _, change in told] == [
        (UNKNOWN, "closed", False),
        ("closed", UNKNOWN, True),
        (UNKNOWN, "closed", False),
        ("closed", UNKNOWN, True),
        (UNKNOWN, "open", True),
    ]


def test_what_was_said_before_frames_stopped_counts_for_nothing_after() -> None:
    machine = a_machine()
    hear(machine, ["closed"] * 11 + ["open"] * 9)
    told = hear(machine, ["open"] * 20, 5.0)
    assert states(told) == [(5.0, UNKNOWN), (6.0, "open")]
    assert told[-1][1].is_entry, "it was closed before and is open now: it was opened, though nobody saw when"


def frame(closed: float, opened: float, neither: float = 0.0) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array([closed, opened, neither], np.float32)


def test_to_leave_a_state_takes_a_higher_score_than_to_stay_in_it() -> None:
    machine = a_machine()
    for i in range(11):
        machine.update(frame(0.9, 0.1), i / FPS)
    assert machine.state == "closed"
    for i in range(11, 200):  # the others are likelier, and not certain
        assert machine.update(frame(0.46, 0.54), i / FPS) is None
    assert {machine.update(frame(0.44, 0.56), i / FPS) for i in range(200, 229)} == {None}
    assert machine.update(frame(0.44, 0.56), 23.0) == StateChange("state", "closed", UNKNOWN, is_entry=True)


def test_a_label_called_unknown_is_no_state_that_anything_enters() -> None:
    machine = a_machine()
    for i in range(30):
        assert machine.update(frame(0.05, 0.05, 0.9), i / FPS) is None
    for i in range(30, 60):
        machine.update(frame(0.9, 0.05, 0.05), i / FPS)
    told = [machine.update(frame(0.05, 0.05, 0.9), i / FPS) for i in range(60, 100)]
    assert [(one.state, one.is_entry) for one in told if one] == [(UNKNOWN, True)]


heard = st.lists(
    st.tuples(
        st.integers(1, 40).map(lambda n: n / 16), st.sampled_from(["closed", "open", "ajar", None]), st.booleans()
    ),
    max_size=120,
)
rules = st.builds(
    StateRules, st.just(0.6), st.just(0.4), st.sampled_from([0.25, 0.5, 1.0]), st.sampled_from([1.0, 2.0]), st.just(2.0)
)


@settings(deadline=None)
@given(heard, rules)
def test_no_state_is_entered_or_left_without_having_been_said_or_missed_for_long(
    shots: list[tuple[float, str | None, bool]], rules: StateRules
) -> None:
    machine = StateMachine(Question("state", ("closed", "open", "ajar")), rules)
    at, entered, began, known, entries = 0.0, 0.0, 0.0, None, 0
    spoken: list[tuple[float, str | None]] = []
    for seconds, answer, stays in shots:
        at += seconds
        before = machine.state
        change = machine.hear(answer, at, stays=stays)
        if seconds > rules.gap:
            began, spoken = at, []
        spoken.append((at, answer))
        if change is None:
            assert machine.state == before
            continue
        assert (change.before, change.state) == (before, machine.state)
        assert change.before != change.state
        if change.state == UNKNOWN:
            assert seconds > rules.gap or at - entered >= rules.unknown - 1e-6
        else:
            assert answer == change.state, "the frame itself says so"
            assert at - began >= rules.hold - 1e-6
            assert before == UNKNOWN or at - entered >= rules.hold - 1e-6
            assert said_for(spoken, change.state) >= rules.hold - 1e-6
            assert change.is_entry == (known not in {None, change.state})
            entries += change.is_entry
            known = change.state
        entered = at
    assert machine.state in {UNKNOWN, known}


def said_for(spoken: Sequence[tuple[float, str | None]], label: str) -> float:
    """Seconds between frames of which both, and half of those of which one, say a label."""
    pairs = itertools.pairwise(spoken)
    return sum((end - start) * ((one == label) + (other == label)) / 2 for (start, one), (end, other) in pairs)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["closed", "open"]), max_size=60), st.sampled_from([10, 20, 40]))
def test_how_many_frames_say_it_does_not_matter_only_for_how_long(seconds: list[str], fps: int) -> None:
    found = []
    for rate in (5, fps):
        machine = a_machine(hold=1.5, unknown=4.5)
        frames = [(i / rate, answer) for i, answer in enumerate(a for a in seconds for _ in range(rate))]
        told = [(at, machine.hear(answer, at)) for at, answer in frames]
        found.append([(change.state, at) for at, change in told if change])
    assert [state for state, _ in found[0]] == [state for state, _ in found[1]]
    assert all(abs(one - other) <= 0.5 for (_, one), (_, other) in zip(*found, strict=True))


def test_a_time_that_goes_back_is_taken_as_the_last() -> None:
    machine = a_machine()
    hear(machine, ["closed"] * 11)
    assert machine.hear("closed", 0.0) is None
    assert machine.state == "closed"


def a_head(output: str, *labels: str) -> HeadSpec:
    return HeadSpec(output=output, labels=labels or ("yes", "no"))


@pytest.mark.parametrize(
    ("outputs", "names"),
    [
        (["color", "type"], ["color", "type"]),
        (["Identity:0", "Identity:1"], ["identity_0", "identity_1"]),
        (["A/b", "a b"], ["a_b", "a_b-2"]),
        (["//", "??"], ["head", "head-2"]),
        (["x" * 99, "x" * 98], ["x" * 64, "x" * 60 + "-2"]),
    ],
)
def test_each_head_is_a_question_with_an_id_of_its_own(outputs: list[str], names: list[str]) -> None:
    assert [question.name for question in questions_of(["a"], [a_head(output) for output in outputs])] == names


def test_without_heads_there_is_one_question_with_all_labels() -> None:
    assert questions_of(["a", "b"], []) == (Question("state", ("a", "b")),)
