"""An hour is held against the camera's own past; warnings say what to do, and do not flap."""

from __future__ import annotations

import copy
import datetime as dt
import functools
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.drift.baseline import WEEKS, Baseline, PastHour
from agent.drift.finding import Finding, Latch, Side
from agent.drift.hours import Hour, HourOfWeek
from agent.drift.judge import Judge
from agent.drift.spread import SCORES
from contracts.health import DRIFT_INDICATORS, CameraDrift, Indicator
from tests.fakes.drift import GOOD, an_hour, usual_hours

WEAK = (0, 0, 120, 300, 440, 400, 240, 80, 20, 0)
NOON = 5 * 168 + 24 + 12  # a Tuesday's


@functools.cache
def _judge_after(weeks: int) -> Judge:
    judge = Judge(Baseline(), SCORES, crossings=True)
    for hour in usual_hours(weeks):
        judge.take(hour)
    return judge


def judge_after(weeks: int) -> Judge:
    return copy.deepcopy(_judge_after(weeks))


def after(judge: Judge, hours: list[Hour]) -> CameraDrift:
    for hour in hours:
        judge.take(hour)
    return judge.report()


def warned(drift: CameraDrift) -> set[str]:
    return {name for name in DRIFT_INDICATORS if getattr(drift, name).warn}


def noons(make: Callable[[int], Hour], count: int = 2) -> list[Hour]:
    return [make(NOON + n) for n in range(count)]


def test_a_usual_hour_is_judged_by_all_and_warns_of_nothing() -> None:
    drift = after(judge_after(5), noons(an_hour))
    assert {name: getattr(drift, name).waiting for name in DRIFT_INDICATORS} == dict.fromkeys(DRIFT_INDICATORS)
    assert drift.counts.change == 0.0
    assert (warned(drift), drift.warnings, drift.hour) == (set(), (), "2026-02-10T13:00:00Z")
    assert drift.scores_histogram == GOOD


CASES: dict[str, tuple[Indicator, Callable[[int], Hour], str]] = {
    "fewer": ("counts", lambda n: an_hour(n, 120.0), "counts are 70% below Tuesdays at 13:00 of the last 4 weeks"),
    "more": ("counts", lambda n: an_hour(n, 900.0), "counts are 125% above Tuesdays at 13:00 of the last 4 weeks"),
    "blurred": ("sharpness", lambda n: an_hour(n, sharpness=0.3), "the picture is blurred .*: clean the lens"),
    "dark": (
        "brightness",
        lambda n: an_hour(n, brightness=45.0),
        r"the picture is dark \(brightness 45, at 13:00 usually",
    ),
    "bright": ("brightness", lambda n: an_hour(n, brightness=230.0), "the picture is bright"),
    "shifted": ("scores", lambda n: an_hour(n, spread=WEAK), "the model's scores have shifted"),
    "empty": ("empty", lambda n: an_hour(n, empty=0.95), "95% of the frames are empty, at 13:00 usually 60%"),
    "never empty": ("empty", lambda n: an_hour(n, empty=0.0), "stands still and is counted"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_off_for_two_hours_is_warned_of_in_words(case: str) -> None:
    indicator, make, words = CASES[case]
    judge = judge_after(5)
    assert warned(after(judge, noons(make, 1))) == set()
    drift = after(judge, noons(make, 2)[1:])
    assert warned(drift) == {indicator}
    (warning,) = drift.warnings
    assert re.search(words, warning), warning


def test_a_warning_ends_after_two_usual_hours() -> None:
    judge = judge_after(5)
    after(judge, noons(lambda n: an_hour(n, sharpness=0.3)))
    assert warned(after(judge, [an_hour(NOON + 2)])) == {"sharpness"}
    assert after(judge, [an_hour(NOON + 3)]).warnings == ()


def test_an_hour_without_data_leaves_warnings_as_they_are_and_shows_no_value() -> None:
    judge = judge_after(5)
    after(judge, noons(lambda n: an_hour(n, sharpness=0.3)))
    judge.miss("nothing was seen")
    drift = judge.report()
    assert warned(drift) == {"sharpness"}
    assert drift.hour is None
    assert (drift.sharpness.value, drift.sharpness.waiting) == (None, "nothing was seen")


def test_before_enough_is_known_nothing_is_judged_and_what_is_missing_is_said() -> None:
    judge = Judge(Baseline(), SCORES, crossings=True)
    assert judge.report().counts.waiting == "no hour is over yet"
    drift = after(judge, [an_hour(0)])
    assert drift.counts.waiting == "Mondays at 00:00: 0 of 2 weeks are known"
    assert drift.sharpness.waiting == "0 of 168 hours of the first week are learned"
    assert drift.brightness.waiting == "0 of 5 days with 00:00 are known"
    assert {getattr(drift, name).change for name in DRIFT_INDICATORS} == {None}


def test_with_a_clock_in_doubt_nothing_by_the_hour_is_judged_or_learned() -> None:
    judge = judge_after(5)
    learned = [judge.take(an_hour(NOON + n, 0.0, sharpness=0.3, synced=False)) for n in range(2)]
    drift = judge.report()
    assert [one.past for one in learned] == [None, None]
    assert warned(drift) == {"sharpness"}
    assert (
        drift.counts.waiting == drift.brightness.waiting == drift.empty.waiting == "the clock is not known to be right"
    )


def test_quiet_hours_are_added_up_until_half_as_much_would_stand_out() -> None:
    judge = judge_after(5)
    nights = [an_hour(5 * 168 + n, 15.0, brightness=50.0) for n in range(5)]  # a Monday's first; usually 40 each
    drift = after(judge, nights)
    assert warned(drift) == {"counts"}
    assert "the 3 hours to Mondays at 04:00" in drift.warnings[0]


def test_a_camera_on_which_little_ever_happens_is_not_judged_by_its_counts() -> None:
    judge = Judge(Baseline(), SCORES, crossings=True)
    for number in range(4 * 168):
        judge.take(an_hour(number, 1.0))
    assert judge.report().counts.waiting == "too little is counted in a day to tell a change by half"


def test_a_night_is_held_against_nights() -> None:
    judge = Judge(Baseline(), SCORES, crossings=True)
    for number in range(5 * 168):
        day = 6 <= number % 24 < 20
        judge.take(
            an_hour(
                number, brightness=110.0 if day else 50.0, sharpness=0.6 if day else 0.3, spread=GOOD if day else WEAK
            )
        )
    usual = after(judge, [an_hour(5 * 168 + n, brightness=50.0, sharpness=0.3, spread=WEAK) for n in range(2)])
    assert warned(usual) == set()


def test_dusk_that_comes_earlier_is_no_dark_picture() -> None:
    judge = judge_after(5)
    dusk = [an_hour(5 * 168 + 19, brightness=50.0)]  # usually bright; the hour after it is dark
    assert after(judge, dusk).brightness.change == pytest.approx(-0.545, abs=0.01)
    assert warned(after(judge, [an_hour(6 * 168 - 168 + 43, brightness=50.0)])) == set()


def test_a_new_level_is_usual_after_some_weeks() -> None:
    judge = judge_after(5)
    for number in range(5 * 168, 9 * 168):
        judge.take(an_hour(number, 200.0 if 6 <= number % 24 < 20 else 20.0))
    assert "counts" not in warned(judge.report())


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40)), max_size=60))
def test_whatever_the_clock_does_the_past_is_bounded_and_never_of_the_future(places: list[tuple[int, int]]) -> None:
    baseline = Baseline()
    for slot, week in places:
        place = HourOfWeek(week * 7 + 1, slot)
        baseline.keep(PastHour(place, 1.0, 3600.0, 0.5, 100.0, 1.0))
        assert baseline.at(place) is not None
        assert all(0 < (place.week - hour.place.week) // 7 <= WEEKS for hour in baseline.same_hours(place))
    assert sum(1 for _ in baseline.expected()) <= 3 * (WEEKS + 1)


def test_of_many_weeks_only_the_last_are_kept() -> None:
    baseline = Baseline()
    for week in range(10):
        baseline.keep(PastHour(HourOfWeek(week * 7 + 1, 0), 1.0, 3600.0, 0.5, 100.0, 1.0))
    assert [hour.place.week // 7 for hour, _ in baseline.expected()] == [5, 6, 7, 8, 9]


SIDES: st.SearchStrategy[Side | None] = st.sampled_from(["low", "high", None])


@given(st.lists(st.tuples(SIDES, st.booleans(), st.booleans()), max_size=60))
def test_a_warning_changes_only_after_two_hours_that_agree(hours: list[tuple[Side | None, bool, bool]]) -> None:
    latch = Latch()
    judged: list[tuple[Side | None, bool]] = []
    for side, settled, known in hours:
        before = latch.side
        latch.take(Finding(change=0.0 if known else None, side=side, settled=settled and side is None))
        if known:
            judged.append((side, settled and side is None))
        if latch.side != before:
            assert known
            assert judged[-2:] == ([(latch.side, False)] * 2 if latch.side else [(None, True)] * 2)


def test_a_day_of_holiday_does_not_make_the_next_one_look_busy() -> None:
    judge = judge_after(5)
    holiday = [
        an_hour(5 * 168 + n, 100.0 if 6 <= n < 20 else 10.0, brightness=110.0 if 6 <= n < 20 else 50.0)
        for n in range(24)
    ]
    after(judge, holiday)
    tuesday = [
        an_hour(5 * 168 + 24 + n, 400.0 if 6 <= n < 20 else 40.0, brightness=110.0 if 6 <= n < 20 else 50.0)
        for n in range(14)
    ]
    assert warned(after(judge, tuesday)) == set()


def test_summer_time_moves_an_hour_with_the_clock_on_the_wall() -> None:
    zone = dt.timezone(dt.timedelta(hours=2))
    assert HourOfWeek.of(dt.datetime(2026, 7, 6, 8, tzinfo=zone)).slot == 8
