"""Which hour of the week it is, and what an hour needs to count."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.drift.hours import LEAST_LOOKS, LEAST_SEEN, Hour, HourOfWeek, HourTally, Looks
from agent.drift.sight import Sight
from agent.drift.spread import SCORES

MOMENTS = st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2100, 1, 1))  # noqa: DTZ001 - local times


@given(MOMENTS, st.integers(0, 2000))
def test_hours_go_back_as_the_calendar_does(moment: dt.datetime, hours: int) -> None:
    earlier = HourOfWeek.of(moment - dt.timedelta(hours=hours))
    assert HourOfWeek.of(moment).before(hours) == earlier
    assert (earlier < HourOfWeek.of(moment)) == (hours > 0)


@given(MOMENTS)
def test_every_hour_has_one_of_168_places(moment: dt.datetime) -> None:
    place = HourOfWeek.of(moment)
    assert 0 <= place.slot < 168
    assert dt.date.fromordinal(place.week).weekday() == 0
    assert place.hour == moment.hour


def test_an_hour_of_the_week_is_named_as_people_do() -> None:
    assert HourOfWeek.of(dt.datetime(2026, 1, 6, 14, 30)).name == "Tuesdays at 14:00"  # noqa: DTZ001


def tally(seconds: float, looks: int, counted: float) -> HourTally:
    one = HourTally(0.0, Looks(SCORES.empty))
    seen = Looks(SCORES.empty)
    for number in range(looks):
        seen.look(Sight(number, 0.5), SCORES.empty, empty=number % 4 == 0)
    one.add(seen, counted, seconds)
    return one


def test_an_hour_half_seen_is_scaled_to_a_whole_one() -> None:
    crossed = tally(1800.0, 40, 50.0).finish(None, crossings=True)
    assert isinstance(crossed, Hour)
    assert (crossed.amount, crossed.empty, crossed.brightness) == (100.0, 0.25, 19.5)
    present = tally(1800.0, 40, 3600.0).finish(None, crossings=False)
    assert isinstance(present, Hour)
    assert present.amount == 2.0


@pytest.mark.parametrize(("seconds", "looks"), [(LEAST_SEEN - 1, 1000), (3600.0, LEAST_LOOKS - 1), (0.0, 0)])
def test_an_hour_of_which_too_little_was_seen_is_none_and_says_what_is_missing(seconds: float, looks: int) -> None:
    missing = tally(seconds, looks, 1.0).finish(None, crossings=True)
    assert isinstance(missing, str)
    assert "needed" in missing


@pytest.mark.parametrize("counted", [float("nan"), float("inf")])
def test_counts_that_are_no_numbers_are_not_learned(counted: float) -> None:
    assert (
        tally(3600.0, 40, counted).finish(None, crossings=False) == "the model's counts of the last hour are no numbers"
    )
