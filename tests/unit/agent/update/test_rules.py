"""Which state follows which: nothing is skipped, nothing lasts for ever, and what was touched is taken back."""

from __future__ import annotations

import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.update.rules import (
    ACTIVE,
    BEFORE,
    COUNTED,
    MOST_STARTS,
    MOST_STEPS,
    OVER,
    Attempt,
    InstalledSet,
    asks_anew,
    begun,
    broke,
    can_be_superseded,
    end_of,
    is_worth_waiting,
    passed,
    settled,
    started,
    superseded,
    survived,
)
from contracts.update import UpdateCode, UpdateState
from tests.unit.agent.update.attempts import CODES, GOOD, attempt, events, installed, wish

STATES: tuple[UpdateState, ...] = typing.get_args(UpdateState)


def test_every_state_is_before_during_or_after() -> None:
    assert set(BEFORE) | set(ACTIVE) | set(OVER) | {"rolling_back"} == set(STATES)


def test_an_attempt_that_does_well_goes_through_every_state_in_order() -> None:
    one, seen = attempt(), []
    while not one.is_over:
        seen.append(one.state)
        one = passed(one, shadow=True)
    assert seen == [*BEFORE, *ACTIVE]
    assert one.state == "committed"


def test_the_shadow_is_left_out_where_it_is_not_asked_for() -> None:
    assert passed(attempt(state="selftest")).state == "activate"


@pytest.mark.parametrize("state", BEFORE)
@pytest.mark.parametrize(("code", "end"), [("too_slow", "rejected"), ("no_space", "failed")])
def test_before_it_took_over_an_attempt_just_ends(state: UpdateState, code: UpdateCode, end: str) -> None:
    ended = broke(attempt(state=state), code, "so it is")
    assert (ended.state, ended.code, ended.reason) == (end, code, "so it is")


@pytest.mark.parametrize("state", ACTIVE)
@pytest.mark.parametrize("code", CODES)
def test_once_it_took_over_what_counted_before_comes_back(state: UpdateState, code: UpdateCode) -> None:
    back = broke(attempt(state=state), code, "so it is")
    assert back.state == "rolling_back"
    ended = passed(back)
    assert (ended.state, ended.code, ended.reason) == ("rolled_back", code, "so it is")


def test_where_nothing_comes_back_both_reasons_are_told() -> None:
    ended = broke(broke(attempt(state="probation"), "fps_low", "3 fps"), "internal", "the old one does not open")
    assert (ended.state, ended.code) == ("rollback_failed", "previous_broken")
    assert "the old one does not open" in ended.reason
    assert "3 fps" in ended.reason


@pytest.mark.parametrize("state", STATES)
def test_only_what_touched_nothing_can_be_superseded(state: UpdateState) -> None:
    one = attempt(state=state)
    if can_be_superseded(one):
        assert superseded(one).state == "superseded"
    else:
        with pytest.raises(ValueError, match="cannot be superseded"):
            superseded(one)


@pytest.mark.parametrize("state", COUNTED)
def test_a_state_that_the_agent_never_comes_through_is_left_after_a_few_starts(state: UpdateState) -> None:
    one = attempt(state=state)
    for _ in range(MOST_STARTS):
        one = started(one)
        assert one.state == state
    ends = {"rolling_back": "rollback_failed", "shadow": "rejected"}
    assert started(one).state == ends.get(state, "rolling_back")


@pytest.mark.parametrize("state", [state for state in BEFORE if state not in COUNTED])
def test_where_no_model_runs_in_the_agent_a_start_says_nothing_of_it(state: UpdateState) -> None:
    one = attempt(state=state)
    assert started(one) == one


def test_an_agent_that_lives_on_has_its_starts_forgotten() -> None:
    one = attempt(state="probation")
    for _ in range(MOST_STARTS * 5):
        one = survived(started(one), 0)
    assert one.state == "probation"


def test_a_refit_brings_no_older_document_back() -> None:
    last = broke(begun(wish(revision=7), None), "too_slow", "")
    refit = begun(wish(revision=6).model_copy(update={"refit": True}), last)
    assert not asks_anew(wish(revision=7), settled(refit, "committed", ""), InstalledSet())


@given(events)
def test_whatever_happens_an_attempt_ends_and_stays_ended(happened: list[tuple[str, typing.Any]]) -> None:
    one = attempt()
    for kind, value in happened:
        if one.is_over:
            break
        before = one
        one = _after(one, kind, value)
        assert one.steps <= MOST_STEPS + 4
        if before.state in ACTIVE:
            assert one.state in {*ACTIVE, "rolling_back", "committed"}, "what was touched is taken back"
        if before.state == "rolling_back":
            assert one.state in {"rolling_back", "rolled_back", "rollback_failed"}
        assert one.state != "committed" or before.state == "probation", "only what was watched is committed"
    for _ in range(MOST_STEPS + MOST_STARTS):
        one = started(one)
    assert one.is_over or one.state not in COUNTED


def _after(one: Attempt, kind: str, value: typing.Any) -> Attempt:
    if kind == "passed":
        return passed(one, shadow=value)
    if kind == "broke":
        return broke(one, value, "so it is")
    if kind == "started":
        return started(one)
    return superseded(one) if can_be_superseded(one) else one


@given(st.sampled_from(typing.get_args(UpdateCode)))
def test_only_what_may_come_right_by_itself_is_waited_for(code: UpdateCode) -> None:
    assert not is_worth_waiting(code) or end_of(code) == "failed"


def test_a_document_is_attempted_once() -> None:
    first = settled(attempt(resolved={"main": installed()}), "committed", "")
    running = first.target
    assert not asks_anew(wish(), first, running)
    assert asks_anew(wish(revision=2), first, running)
    assert asks_anew(wish(epoch=2), first, running)
    assert not asks_anew(wish(epoch=0, revision=9), first, running)


def test_a_document_that_was_refused_is_not_attempted_again() -> None:
    assert not asks_anew(wish(), broke(attempt(), "too_slow", ""), InstalledSet())


def test_a_committed_document_whose_models_were_lost_is_attempted_again() -> None:
    first = settled(attempt(resolved={"main": installed(GOOD)}), "committed", "")
    assert asks_anew(wish(), first, InstalledSet())


def test_what_is_asked_on_site_is_always_attempted_and_brings_no_old_document_back() -> None:
    first = settled(attempt(resolved={"main": installed()}), "committed", "")
    on_site = begun(wish(None, None), first)
    assert asks_anew(on_site.wish, first, first.target)
    ended = settled(on_site, "committed", "")
    assert not asks_anew(wish(), ended, ended.target), "the document that came before is not a new wish"
    assert asks_anew(wish(revision=2), ended, ended.target)
