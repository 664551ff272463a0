"""One camera's looks added up to hours, and which hour of the week an hour is."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from dataclasses import dataclass

from agent.drift.sight import Sight
from agent.drift.spread import Spread

HOURS_A_DAY, HOURS_A_WEEK = 24, 168
SECONDS = 3600.0
LEAST_SEEN = 1800.0  # seconds of an hour that must have been observed for it to be judged
LEAST_LOOKS = 30  # the same in frames; a camera may give one a minute
_DAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")

LocalTime = Callable[[float], dt.datetime]
"""From seconds since 1970 to the box's own time."""


def local_time(seconds: float) -> dt.datetime:
    """In the box's own time zone: traffic keeps to the clock on the wall, also when daylight saving begins."""
    return dt.datetime.fromtimestamp(seconds, dt.timezone.utc).astimezone()


@dataclass(frozen=True, order=True)
class HourOfWeek:
    """An hour by the calendar.

    Args:
        week: the ordinal (`datetime.date.toordinal`) of its Monday.
        slot: its number in the week, 0 to 167 from Monday 00:00.
    """

    week: int
    slot: int

    @classmethod
    def of(cls, moment: dt.datetime) -> HourOfWeek:
        """The hour in which a moment lies."""
        return cls(moment.toordinal() - moment.weekday(), moment.weekday() * HOURS_A_DAY + moment.hour)

    @property
    def hour(self) -> int:
        """Of the day, 0 to 23."""
        return self.slot % HOURS_A_DAY

    @property
    def name(self) -> str:
        """As people call it: ``Tuesdays at 14:00``."""
        return f"{_DAYS[self.slot // HOURS_A_DAY]} at {self.hour:02}:00"

    def before(self, hours: int) -> HourOfWeek:
        """The hour so many hours earlier."""
        number = self.week * HOURS_A_DAY + self.slot - hours
        weeks, slot = divmod(number - HOURS_A_DAY, HOURS_A_WEEK)  # ordinal 1 is a Monday
        return HourOfWeek(weeks * 7 + 1, slot)


@dataclass(frozen=True)
class Hour:
    """What one hour was like.

    Args:
        start: seconds since 1970 of its beginning.
        place: where it lies in the week; None where the clock is not known to be right.
        seconds: of it that were observed.
        amount: what was counted, scaled to a whole hour: crossings, or things in the picture at once.
        empty: share of the looks in which nothing was there.
        brightness: mean grey level.
        sharpness: as `agent.drift.sight.Sight` has it.
        spread: what the model answered.
    """

    start: float
    place: HourOfWeek | None
    seconds: float
    amount: float
    empty: float
    brightness: float
    sharpness: float
    spread: Spread


@dataclass
class Looks:
    """What was seen in frames looked at, added up.

    Args:
        spread: what the model answered.
        frames: looked at.
        empty: of them with nothing in the picture.
        sights: of them that had detail to judge.
        brightness: sum over those.
        sharpness: the same.
    """

    spread: Spread
    frames: int = 0
    empty: int = 0
    sights: int = 0
    brightness: float = 0.0
    sharpness: float = 0.0

    def look(self, sight: Sight | None, spread: Spread, *, empty: bool) -> None:
        """Take in one frame."""
        self.frames += 1
        self.empty += empty
        self.spread += spread
        if sight is not None:
            self.sights += 1
            self.brightness += sight.brightness
            self.sharpness += sight.sharpness

    def add(self, other: Looks) -> None:
        """Take in all that another saw."""
        self.frames += other.frames
        self.empty += other.empty
        self.spread += other.spread
        self.sights += other.sights
        self.brightness += other.brightness
        self.sharpness += other.sharpness

    @property
    def mean(self) -> Sight | None:
        """Over all looks; None where none had detail."""
        if not self.sights:
            return None
        return Sight(self.brightness / self.sights, self.sharpness / self.sights)


@dataclass
class HourTally:
    """An hour under way.

    Args:
        start: seconds since 1970 of its beginning.
        looks: at its frames.
        seconds: observed.
        sum: of what was counted: crossings, or things times seconds.
    """

    start: float
    looks: Looks
    seconds: float = 0.0
    sum: float = 0.0

    def add(self, looks: Looks, counted: float, seconds: float) -> None:
        """Take in a window of which the counts can be believed.

        Args:
            looks: at its frames.
            counted: its crossings, or things times seconds.
            seconds: of it that were observed.
        """
        self.looks.add(looks)
        self.sum += counted
        self.seconds += seconds

    def finish(self, place: HourOfWeek | None, *, crossings: bool) -> Hour | str:
        """The whole hour, or what is missing for it to be judged."""
        mean = self.looks.mean
        if self.seconds < LEAST_SEEN:
            return f"of the last hour {self.seconds / 60:.0f} minutes were counted, {LEAST_SEEN / 60:.0f} are needed"
        if mean is None or self.looks.sights < LEAST_LOOKS:
            return f"of the last hour {self.looks.sights} pictures could be judged, {LEAST_LOOKS} are needed"
        if not math.isfinite(self.sum):
            return "the model's counts of the last hour are no numbers"
        return Hour(
            start=self.start,
            place=place,
            seconds=self.seconds,
            amount=self.sum * (SECONDS if crossings else 1.0) / self.seconds,
            empty=self.looks.empty / self.looks.frames,
            brightness=mean.brightness,
            sharpness=mean.sharpness,
            spread=self.looks.spread,
        )
