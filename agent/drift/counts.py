"""Whether as much is counted as in the same hours of the weeks before."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import median

from agent.drift.baseline import Baseline
from agent.drift.finding import Finding
from agent.drift.hours import HOURS_A_DAY, SECONDS, Hour, HourOfWeek

LEAST_WEEKS = 2  # in which an hour of the week was observed before it is expected to be like them
LEAST_EXPECTED = 72  # hours of which it is known how far off the expectation was: three days
LOW, HIGH = 0.6, 1 / 0.6  # of what was expected
SETTLED = (0.75, 1 / 0.75)  # well within
SIGMAS = 3.0  # by which a sum has to be off
_POWER = 4.5  # by which half as much would be off, by chance alone: then it is noticed in most hours
_LEAST_DAILY = 0.08  # by which whole days differ from week to week, at least
_AS_SIGMA = 1.4826  # median absolute deviation to standard deviation, of normal errors


@dataclass(frozen=True)
class Scatter:
    """How far off expectations were while nothing was wrong, for all that is known.

    Args:
        hourly: variance of an hour over what was expected of it; 1 for a Poisson process.
        daily: standard deviation of a whole day over what was expected of it: weather, and what people do.
    """

    hourly: float
    daily: float

    @classmethod
    def of(cls, baseline: Baseline, *, crossings: bool) -> Scatter | None:
        """What the last weeks show, their middle: a bad day changes little. None while too little is known."""
        errors: list[float] = []
        days: dict[tuple[int, int], list[tuple[float, float]]] = {}
        for hour, usual in baseline.expected():
            errors.append(abs(hour.amount - usual) / math.sqrt(usual))
            day = (hour.place.week, hour.place.slot // HOURS_A_DAY)
            days.setdefault(day, []).append((hour.amount, usual))
        if len(errors) < LEAST_EXPECTED:
            return None
        hourly = (_AS_SIGMA * median(errors)) ** 2
        daily = _AS_SIGMA * median(abs(_ratio(hours) - 1) for hours in days.values())
        return cls(max(hourly, 1.0) if crossings else hourly, max(daily, _LEAST_DAILY))


@dataclass(frozen=True)
class UsualHours:
    """What a camera counts at this time of the week.

    Args:
        amounts: of the hour under way and of those after it, as `agent.drift.hours.Hour` has them; None where nothing
            is known of one.
        left: seconds of the hour under way that are left.
        scatter: how far off such expectations were.
        crossings: whether crossings are counted.
    """

    amounts: tuple[float | None, ...]
    left: float
    scatter: Scatter
    crossings: bool


def usual_hours(baseline: Baseline, places: Iterable[HourOfWeek], left: float, *, crossings: bool) -> UsualHours | None:
    """What is expected of an hour under way and of those after it; None where too little is known to judge it.

    Args:
        baseline: the weeks before.
        places: of these hours in the week.
        left: seconds of the first that are left.
        crossings: whether crossings are counted.
    """
    amounts = tuple(
        usual_amount(baseline, place) if len(baseline.same_hours(place)) >= LEAST_WEEKS else None for place in places
    )
    scatter = Scatter.of(baseline, crossings=crossings)
    return (
        None if scatter is None or not amounts or amounts[0] is None else UsualHours(amounts, left, scatter, crossings)
    )


class Expected:
    """Hours added up: what was counted in them, what was expected, and how uncertain that is."""

    def __init__(self, scatter: Scatter) -> None:
        self._scatter = scatter
        self._variance = 0.0
        self.counted = self.usual = 0.0
        self.hours = 0

    def add(self, counted: float, usual: float, seconds: float) -> None:
        """One more hour, of which some seconds were observed."""
        self.counted += counted
        self.usual += usual
        self.hours += 1
        self._variance += self._scatter.hourly * usual * SECONDS / seconds

    @property
    def decides(self) -> bool:
        """Whether half as much would stand out from chance."""
        return self.usual > 0 and 0.5 * self.usual >= _POWER * math.sqrt(self._variance)

    def finding(self) -> Finding:
        """How far off the sum is, by its ratio: half as much is as far off as twice as much."""
        ratio = self.counted / self.usual
        sigma = math.hypot(math.sqrt(self._variance) / self.usual, self._scatter.daily)
        sure = ratio == 0 or abs(math.log(ratio)) >= SIGMAS * sigma
        return Finding(
            value=self.counted / self.hours,
            usual=self.usual / self.hours,
            change=ratio - 1,
            side="low" if sure and ratio <= LOW else "high" if sure and ratio >= HIGH else None,
            settled=SETTLED[0] <= ratio <= SETTLED[1],
            hours=self.hours,
        )


def usual_amount(baseline: Baseline, place: HourOfWeek) -> float | None:
    """What is expected of an hour, None where no week before had it."""
    past = [hour.amount for hour in baseline.same_hours(place)]
    return median(past) if past else None


def judge_counts(hour: Hour, place: HourOfWeek, baseline: Baseline, *, crossings: bool) -> Finding:
    """Hold an hour against the weeks before, with as many of the hours before it as it takes to tell.

    Args:
        hour: not in the baseline yet.
        place: where it lies in the week.
        baseline: the weeks before.
        crossings: whether crossings are counted: they scatter as a Poisson process at least.
    """
    known = len(baseline.same_hours(place))
    if known < LEAST_WEEKS:
        return Finding(value=hour.amount, waiting=f"{place.name}: {known} of {LEAST_WEEKS} weeks are known")
    scatter = Scatter.of(baseline, crossings=crossings)
    if scatter is None:
        return Finding(value=hour.amount, waiting=f"fewer than {LEAST_EXPECTED} hours with counts are known")
    expected = Expected(scatter)
    for counted, usual, seconds in _backwards(hour, place, baseline):
        expected.add(counted, usual, seconds)
        if expected.decides:
            return expected.finding()
    return Finding(value=hour.amount, waiting="too little is counted in a day to tell a change by half")


def _backwards(hour: Hour, place: HourOfWeek, baseline: Baseline) -> Iterator[tuple[float, float, float]]:
    """Counted, expected and observed seconds of this hour and of those in the day before it that are known."""
    here = usual_amount(baseline, place)
    if here is not None:
        yield hour.amount, here, hour.seconds
    for back in range(1, HOURS_A_DAY):
        before = baseline.at(place.before(back))
        if before is not None and len(baseline.same_hours(before.place)) >= LEAST_WEEKS:
            yield before.amount, usual_amount(baseline, before.place) or 0.0, before.seconds


def _ratio(hours: list[tuple[float, float]]) -> float:
    """What was counted over what was expected."""
    return sum(amount for amount, _ in hours) / sum(usual for _, usual in hours)
