"""When a wave may be followed by the next, when it waits and when it is stopped."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fleet.rollout.gate import Counts, Opened, Verdict, alarm, judge, standing
from fleet.rollout.spec import RolloutSpec
from tests.unit.fleet.rollout.specs import spec

NOW = 1_000_000_000
SOAK = 1_800_000  # ms of the spec's default
SPEC = spec(deadline_seconds=14_400)
SOME = st.integers(0, 300)
SHARES = st.floats(0, 1)
SPECS = st.builds(
    lambda failed, committed, silent: spec(max_failed=failed, min_committed=committed, max_silent=silent),
    SHARES,
    SHARES,
    SHARES,
)
COUNTS = st.builds(Counts, SOME, SOME, SOME, SOME, SOME, SOME)


def verdict(counts: Counts, of: RolloutSpec = SPEC, *, soaked: bool = True, now: int = NOW, **opened: Any) -> Verdict:
    given = {"soaking_ms": NOW - SOAK if soaked else None, "reached": counts.eligible, "last": False}
    return judge(counts, of, Opened(**(given | opened)), now)


def test_a_wave_passes_that_committed_and_soaked() -> None:
    assert verdict(Counts(committed=100)).kind == "pass"


def test_it_soaks_from_when_nobody_is_pending_for_the_whole_time() -> None:
    first = verdict(Counts(committed=1), soaked=False)
    assert (first.kind, first.soaking_ms) == ("soak", NOW)
    almost = verdict(Counts(committed=1), soaking_ms=NOW, now=NOW + SOAK - 1)
    assert (almost.kind, almost.soaking_ms) == ("soak", NOW)
    assert verdict(Counts(committed=1), soaking_ms=NOW, now=NOW + SOAK).kind == "pass"


def test_the_soak_begins_anew_after_somebody_was_pending() -> None:
    again = verdict(Counts(committed=1, pending=1))
    assert (again.kind, again.soaking_ms) == ("wait", None)


def test_a_clock_that_was_set_back_never_shortens_a_soak() -> None:
    soaking = verdict(Counts(committed=1), soaking_ms=NOW + 50 * SOAK)
    assert (soaking.kind, soaking.soaking_ms) == ("soak", NOW)


def test_nobody_reached_is_no_success() -> None:
    assert verdict(Counts(unreached=50)).kind == "wait"
    assert verdict(Counts(unreached=50), last=True).kind == "wait"


def test_what_earlier_waves_proved_does_not_open_a_wave_that_nobody_reached() -> None:
    counts = Counts(committed=10, unreached=40)
    assert verdict(counts, reached=0).kind == "wait"
    assert verdict(counts, reached=1).kind == "pass"


def test_a_last_wave_that_is_offline_does_not_keep_the_rollout_from_its_end() -> None:
    assert verdict(Counts(committed=10, unreached=40), reached=0, last=True).kind == "pass"


def test_the_offline_tail_blocks_nothing() -> None:
    assert verdict(Counts(committed=10, unreached=1000)).kind == "pass"


def test_boxes_that_are_still_to_be_offered_it_keep_it_waiting() -> None:
    assert verdict(Counts(committed=100, waiting=1)).kind == "wait"


def test_a_failed_canary_halts() -> None:
    halt = verdict(Counts(failed=1), soaked=False)
    assert halt == Verdict("halt", "1 of 1 box failed, at most 1% may")


@pytest.mark.parametrize(
    ("counts", "halts"),
    [
        (Counts(failed=1, pending=99), False),  # 1 of 100 is 1 %, if all others commit
        (Counts(failed=1, pending=98), True),
        (Counts(failed=1, waiting=99), False),
        (Counts(failed=1, unreached=99), True),  # who is offline counts nowhere
        (Counts(failed=2, pending=98), True),
        (Counts(failed=1, committed=50, silent=49), True),  # the silence does
        (Counts(committed=1000, failed=10), False),
        (Counts(committed=1000, failed=11), True),
    ],
)
def test_it_halts_as_soon_as_the_failures_could_not_pass_if_all_others_committed(
    counts: Counts, *, halts: bool
) -> None:
    assert (verdict(counts, soaked=False).kind == "halt") is halts


@pytest.mark.parametrize("share", [0.07, 0.14, 0.28, 0.29, 0.55, 0.57, 0.58])
def test_a_share_that_is_just_reached_is_let_through(share: float) -> None:
    failed = round(share * 100)
    exactly = Counts(committed=100 - failed, failed=failed)
    assert verdict(exactly, spec(max_failed=share, min_committed=0)).kind == "pass"
    assert verdict(exactly + Counts(failed=1), spec(max_failed=share, min_committed=0)).kind == "halt"


def test_a_box_that_runs_nothing_halts_whatever_the_share() -> None:
    counts = Counts(committed=10_000, failed=1, hard=1)
    assert "could not be rolled back" in verdict(counts).reason
    assert verdict(counts).kind == "halt"


def test_silence_halts_once_it_is_too_much() -> None:
    assert verdict(Counts(committed=95, silent=5)).kind == "pass"
    assert verdict(Counts(committed=94, silent=6)).kind == "halt"
    assert verdict(Counts(silent=1), soaked=False).kind == "halt"


def test_a_large_wave_does_not_wait_for_the_last_boxes_that_come_back() -> None:
    assert verdict(Counts(committed=950, silent=20, pending=30)).kind == "pass"
    assert verdict(Counts(committed=950, silent=20, pending=31)).kind == "wait"


def test_too_few_that_committed_halt_after_the_soak_for_nothing_more_comes() -> None:
    loose = spec(max_failed=0.2, max_silent=0.2, min_committed=0.9)
    assert verdict(Counts(committed=85, failed=10, silent=5), loose, soaked=False).kind == "soak"
    assert "85 of 100 boxes committed" in verdict(Counts(committed=85, failed=10, silent=5), loose).reason


def test_what_was_forgiven_is_out_of_account_and_what_is_new_is_not() -> None:
    one = Counts(failed=1, forgiven_failed=1)
    assert verdict(one, soaked=False).kind == "soak"
    assert verdict(one).kind == "pass"  # who forgives the only canary wants it to go on
    assert verdict(one + Counts(committed=1)).kind == "pass"
    assert verdict(Counts(committed=1, silent=1, forgiven_silent=1)).kind == "pass"
    assert verdict(one + Counts(committed=1, failed=1)).kind == "halt"
    assert verdict(Counts(committed=99, failed=2, hard=1, forgiven_failed=1)).kind == "halt"


def test_forgiven_silence_hides_no_failure_and_a_forgiven_failure_no_silence() -> None:
    assert verdict(Counts(committed=10, failed=1, silent=5, forgiven_silent=5)).kind == "halt"
    assert verdict(Counts(committed=10, failed=5, silent=1, forgiven_failed=5)).kind == "halt"


def test_boxes_that_are_held_back_for_a_failure_elsewhere_count_nowhere() -> None:
    assert verdict(Counts(committed=10, held=5)).kind == "pass"
    waits = verdict(Counts(held=1))
    assert waits.kind == "wait"
    assert "1 box failed elsewhere and will be offered it after the penalty" in waits.reason


@given(COUNTS, SPECS, st.integers(0, 50), st.integers(0, 50), st.booleans())
def test_nothing_passes_that_breaks_a_limit(
    counts: Counts, of: RolloutSpec, failed: int, silent: int, last: bool
) -> None:
    counts = counts + Counts(failed=failed, forgiven_failed=failed, silent=silent, forgiven_silent=silent)
    if verdict(counts, of, last=last).kind != "pass":
        return
    left = counts.judged
    assert left.eligible or failed or silent
    assert not left.waiting
    assert left.failed <= of.max_failed * (left.committed + left.failed) + 1e-6
    assert left.committed >= of.min_committed * left.eligible - 1e-6
    assert left.silent <= of.max_silent * left.eligible + 1e-6


@given(COUNTS, SPECS)
def test_halting_for_failures_never_stops_what_could_still_have_passed(counts: Counts, of: RolloutSpec) -> None:
    assume(alarm(counts, of) is not None)
    best = Counts(counts.committed + counts.pending + counts.waiting, counts.failed, silent=counts.silent)
    assert verdict(best, of).kind == "halt"


@given(COUNTS, SHARES)
def test_more_failures_never_end_a_halt_for_failures(counts: Counts, share: float) -> None:
    of = spec(max_failed=share, max_silent=1)
    assume(alarm(counts, of) is not None)
    assert alarm(counts + Counts(failed=1), of) is not None


@given(st.lists(COUNTS, min_size=1, max_size=5), SPECS)
def test_the_sum_over_all_classes_halts_nothing_that_no_class_halts(classes: list[Counts], of: RolloutSpec) -> None:
    assume(all(alarm(one, of) is None for one in classes))
    assert alarm(sum(classes, Counts()), of) is None


@given(COUNTS, SPECS, SOME)
def test_unreached_boxes_change_no_verdict(counts: Counts, of: RolloutSpec, more: int) -> None:
    assert verdict(counts, of).kind == verdict(counts + Counts(unreached=more), of).kind


@pytest.mark.parametrize(
    ("seen", "online", "now", "expected"),
    [
        (None, None, 5, "unreached"),
        (None, False, 10**6, "unreached"),
        (-100, False, 10**6, "unreached"),  # heard of before the offer only
        (-100, True, 5, "pending"),  # it says that it is online: it will be reached
        (-10_000, True, 899, "pending"),
        (-10_000, True, 901, "silent"),
        (5, False, 800, "pending"),  # it may be starting anew
        (5, False, 906, "silent"),
        (0, True, 900, "pending"),
        (14_400, True, 14_400, "pending"),
        (14_401, True, 14_401, "silent"),  # it talks, and comes to no end
    ],
)
def test_a_box_is_pending_while_it_is_heard_of_and_not_late(
    seen: int | None,
    online: bool | None,
    now: int,
    expected: str,
) -> None:
    at = None if seen is None else NOW + seen * 1000
    assert standing(NOW, at, SPEC, NOW + now * 1000, online=online) == expected
