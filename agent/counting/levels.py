"""How many were there over a window: levels over time, and what happened in a zone."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.messages import Dwell, Level, ZoneCounts


class Levels:
    """Last, least, most and mean over time of a value, and the share of time in which it was at least 1."""

    def __init__(self) -> None:
        self._last, self._least, self._most = 0.0, float("inf"), float("-inf")
        self._sum = self._seconds = self._occupied = 0.0

    def add(self, value: float, seconds: float) -> None:
        """Take in a value that held for some seconds, 0 where that is not known yet."""
        self._last, self._least, self._most = value, min(self._least, value), max(self._most, value)
        self._sum += value * seconds
        self._seconds += seconds
        self._occupied += seconds if value >= 1 else 0.0

    def level(self) -> Level | None:
        """What was taken in, None where nothing was; the mean of no time is the last value."""
        if self._least > self._most:
            return None
        mean = self._sum / self._seconds if self._seconds > 0 else self._last
        # Rounding must not put the mean outside of what it is the mean of.
        return Level(last=self._last, mean=min(max(mean, self._least), self._most), min=self._least, max=self._most)

    @property
    def occupancy(self) -> float:
        """The share of time with at least 1; of no time, whether the last value was."""
        return min(1.0, self._occupied / self._seconds) if self._seconds > 0 else float(self._last >= 1)


class ZoneSums:
    """What is added up of one zone; memory does not grow with what happens in it."""

    def __init__(self) -> None:
        self._levels = Levels()
        self._visits: int | None = None
        self._stays = 0
        self._stayed = self._longest = 0.0  # seconds

    def hold(self, present: float, seconds: float) -> None:
        """So many were there for some seconds."""
        self._levels.add(present, seconds)

    def take(self, visits: int, stays: Sequence[float]) -> None:
        """Take in a frame of a model that gives boxes: new visits, and seconds of stays that ended."""
        self._visits = (self._visits or 0) + visits
        self._stays += len(stays)
        self._stayed += sum(stays)
        self._longest = max(self._longest, *stays, 0.0)

    def counts(self) -> ZoneCounts | None:
        """What a report says; None where nothing was taken in."""
        level = self._levels.level()
        if level is None or self._visits is None:
            return None if level is None else ZoneCounts(**level.model_dump())
        mean = min(self._stayed / self._stays, self._longest) if self._stays else None
        dwell = Dwell(n=self._stays, mean=mean, max=self._longest if self._stays else None)
        occupancy = self._levels.occupancy
        return ZoneCounts(**level.model_dump(), visits=self._visits, occupancy=occupancy, dwell=dwell)
