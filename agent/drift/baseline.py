"""What a camera used to be like: its first week, which stays, and its last four weeks, which move along."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import numpy.typing as npt

from agent.drift.hours import HOURS_A_DAY, HOURS_A_WEEK, Hour, HourOfWeek

WEEKS = 4  # that are kept, besides the one under way
FIRST_HOURS = HOURS_A_WEEK  # of the reference
_SIMILAR = 12  # hours of the first week that were as bright as this one: a night is held against nights


@dataclass(frozen=True)
class FirstHour:
    """An hour of the first week.

    Args:
        brightness: mean grey level.
        sharpness: as `agent.drift.sight.Sight` has it.
        spread: what the model answered.
    """

    brightness: float
    sharpness: float
    spread: tuple[int, ...]


@dataclass(frozen=True)
class PastHour:
    """An hour of the last weeks.

    Args:
        place: where it lies in the week.
        amount: what was counted, scaled to a whole hour.
        seconds: of it that were observed.
        empty: share of the looks in which nothing was there.
        brightness: mean grey level.
        usual: amount that was expected then; None where nothing was known of the hour.
    """

    place: HourOfWeek
    amount: float
    seconds: float
    empty: float
    brightness: float
    usual: float | None


class Baseline:
    """Bounded: 168 hours that came first, and 168 for each of five weeks.

    Args:
        since: when it began, UTC.
        first: hours of the first week, in their order.
        past: hours of the last weeks, in any order.
    """

    def __init__(
        self, since: str | None = None, first: Iterable[FirstHour] = (), past: Iterable[PastHour] = ()
    ) -> None:
        self.since = since
        self.first = list(first)[:FIRST_HOURS]
        self._past: dict[int, dict[int, PastHour]] = {}
        for hour in sorted(past, key=lambda one: one.place):
            self.keep(hour)

    def learn(self, hour: Hour) -> FirstHour | None:
        """Take an hour into the first week; None where that is complete."""
        if len(self.first) >= FIRST_HOURS:
            return None
        self.first.append(FirstHour(hour.brightness, hour.sharpness, tuple(map(int, hour.spread))))
        return self.first[-1]

    def keep(self, hour: PastHour) -> None:
        """Take an hour into the last weeks; of its hour of the week, what is older or of a later date goes."""
        weeks = self._past.setdefault(hour.place.slot, {})
        weeks[hour.place.week] = hour
        for week in [week for week in weeks if not is_recent(week, hour.place.week)]:
            del weeks[week]

    def at(self, place: HourOfWeek) -> PastHour | None:
        """That very hour, where it was observed."""
        return self._past.get(place.slot, {}).get(place.week)

    def same_hours(self, place: HourOfWeek) -> list[PastHour]:
        """This hour of the week in the weeks before it."""
        weeks = self._past.get(place.slot, {})
        return [hour for week, hour in weeks.items() if week < place.week and is_recent(week, place.week)]

    def expected(self) -> Iterator[tuple[PastHour, float]]:
        """The hours of which something was expected, and what."""
        for weeks in self._past.values():
            for hour in weeks.values():
                if hour.usual:
                    yield hour, hour.usual

    def brightness_at(self, hour_of_day: int, before: HourOfWeek) -> list[float]:
        """How bright that hour of the day was on every day of the last weeks before a moment."""
        slots = range(hour_of_day % HOURS_A_DAY, HOURS_A_WEEK, HOURS_A_DAY)
        hours = [hour for slot in slots for hour in self._past.get(slot, {}).values()]
        return [hour.brightness for hour in hours if hour.place < before and is_recent(hour.place.week, before.week)]

    def in_light(self, brightness: float) -> list[FirstHour]:
        """Hours of the first week that were about so bright."""
        return sorted(self.first, key=lambda hour: abs(hour.brightness - brightness))[:_SIMILAR]


def is_recent(week: int, of: int) -> bool:
    """Whether a week is ``of`` itself or among those before it that count."""
    return of - WEEKS * 7 <= week <= of


def usual_shares(hours: Sequence[FirstHour]) -> npt.NDArray[np.float64]:
    """How what the model answered in all of these was spread: shares that sum to 1; zeros where it answered nothing."""
    sums = np.array([hour.spread for hour in hours], np.float64).sum(axis=0)
    shares: npt.NDArray[np.float64] = sums / max(1.0, float(sums.sum()))
    return shares


def usual_sharpness(hours: Sequence[FirstHour]) -> float:
    """Of the middle one."""
    return median(hour.sharpness for hour in hours)
