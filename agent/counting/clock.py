"""When windows begin and end: aligned to UTC, kept by the monotonic clock."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass, replace

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_SLEWED = 0.5  # seconds that the clock may be off at a border, at most, without having jumped
_SLEWED_SHARE = 0.1  # of the window, the same
_MOST_BEHIND = 60  # windows that are made up for, after a standstill of the whole process


@dataclass(frozen=True)
class ClockWindow:
    """One window.

    Args:
        start: seconds since 1970, UTC, a whole number of windows.
        end: the same; where the next window starts.
        begins: monotonic seconds from which on it was kept: later than ``start`` says where counting began within it.
        ends: monotonic seconds at which it ends; earlier than ``end`` says where it was cut short.
        offset: UTC less monotonic seconds, None where ``ends`` is the moment of ``end``.
    """

    start: float
    end: float
    begins: float
    ends: float
    offset: float | None = None

    @property
    def seconds(self) -> float:
        """The window's length by UTC."""
        return self.end - self.start

    def utc(self, at: float) -> float:
        """Seconds since 1970 of a moment in monotonic seconds, in it or near it."""
        return at + (self.end - self.ends if self.offset is None else self.offset)

    def cut(self, at: float) -> ClockWindow:
        """The same window, ended at ``at`` (monotonic seconds) where that is earlier."""
        return replace(self, ends=min(at, self.ends), offset=self.utc(0.0))


class WindowClock:
    """Tells in which window a monotonic time lies.

    The wall clock is looked at where a window ends, never within one. There, what it was slewed by is taken over into
    the next window's length; if it jumped, the next window is the one that it shows now: windows may then be missing,
    or come again after a jump backwards, and their coverage says how much of each was kept.

    Args:
        seconds: a window's length; windows begin at whole multiples of it since 1970.
        wall_now: seconds since 1970, UTC.
        monotonic_now: monotonic seconds at the same moment.
    """

    def __init__(self, seconds: float, wall_now: float, monotonic_now: float) -> None:
        if not seconds > 0:
            raise ValueError(f"seconds should be above 0, got {seconds}")
        self._seconds = seconds
        self.window = self._window_of(wall_now, monotonic_now)

    def is_over(self, monotonic_now: float) -> bool:
        """Whether the current window has ended."""
        return monotonic_now >= self.window.ends

    def turn(self, wall_now: float, monotonic_now: float) -> float:
        """Go on to the next window.

        After a standstill it may be over too: turn until `is_over` is false, so that the windows between are reported
        as not observed. After more than 60 of them they are left out, as after a jump.

        Args:
            wall_now: seconds since 1970, UTC.
            monotonic_now: monotonic seconds at the same moment, not before the current window's end.

        Returns:
            Seconds by which the wall clock jumped since the last window, negative backwards; 0.0 if it did not.
        """
        late = monotonic_now - self.window.ends
        jump = wall_now - (self.window.end + late)
        if abs(jump) > min(_SLEWED, _SLEWED_SHARE * self._seconds):
            self.window = self._window_of(wall_now, monotonic_now)
            return jump
        if late > _MOST_BEHIND * self._seconds:
            self.window = self._window_of(wall_now, monotonic_now)
        else:
            start, begins = self.window.end, self.window.ends
            end = start + self._seconds
            self.window = ClockWindow(start, end, begins, monotonic_now + (end - wall_now))
        return 0.0

    def _window_of(self, wall_now: float, monotonic_now: float) -> ClockWindow:
        start = math.floor(wall_now / self._seconds) * self._seconds
        end = start + self._seconds
        return ClockWindow(start, end, monotonic_now, monotonic_now + (end - wall_now))


def utc_text(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601 with ``Z``, with milliseconds only where there are some."""
    moment = _EPOCH + dt.timedelta(milliseconds=round(seconds * 1000))
    precision = "milliseconds" if moment.microsecond else "seconds"
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")
