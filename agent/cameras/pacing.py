"""Time in a source: stamps that only rise, frames held back until they are due, and a limit to their rate."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

_LONGEST_STEP = 10.0  # seconds between two frames; a stamp that jumps further is taken for broken
_ROUNDING = 1e-6  # of shares and seconds
_TOLERANCE = 0.25  # of the period; a camera's frames jitter, and one that is due at its own rate must not be dropped


class Timeline:
    """Turns a stream's stamps into seconds since its first frame, never falling.

    Streams begin again (loops), lack stamps, repeat one stamp for ever, or jump by hours; each such step counts as one
    usual interval. Time that stood still would have the rate's limit drop every frame.

    Args:
        interval: seconds between two frames as the stream states it.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._stamp: float | None = None
        self._at: float | None = None

    def at(self, stamp: float | None) -> float:
        """Seconds since the first frame, for the frame with this stamp (seconds, None where it has none)."""
        step = self._interval
        if stamp is not None and self._stamp is not None and 0 < stamp - self._stamp <= _LONGEST_STEP:
            step = stamp - self._stamp
        self._stamp = stamp
        self._at = 0.0 if self._at is None else self._at + step
        return self._at

    def begin_again(self) -> None:
        """The stream starts over; what follows comes one interval after the last frame."""
        self._stamp = None


class Pacer:
    """Holds frames back until they are due, as a camera would.

    Args:
        stop: interrupts a wait.
        clock: seconds, monotonic.
        wait: waits for so many seconds; true where it was interrupted.
    """

    def __init__(
        self,
        stop: threading.Event,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._stop = stop
        self._clock = clock
        self._wait = wait or stop.wait
        self._begun: float | None = None

    @property
    def elapsed(self) -> float:
        """Seconds since the first frame; 0 before it."""
        return 0.0 if self._begun is None else self._clock() - self._begun

    def hold(self, at: float) -> bool:
        """Wait until ``at`` seconds after the first frame; false where it was told to stop."""
        if self._begun is None:
            self._begun = self._clock() - at
        wait = at - self.elapsed
        if wait > 0:
            return not self._wait(wait)
        return not self._stop.is_set()


class RateLimit:
    """Lets at most ``fps`` frames a second pass, evenly.

    Args:
        fps: the limit; None lets all pass.
    """

    def __init__(self, fps: float | None) -> None:
        self.fps = fps
        self._period = 1 / fps if fps else 0.0
        self._due: float | None = None

    def passes(self, at: float) -> bool:
        """Whether the frame of ``at`` (seconds, rising) is to be kept."""
        if self._due is None:
            self._due = at
        if at < self._due - self._period * _TOLERANCE:
            return False
        # The next one is due on the grid, so that the tolerance does not add up, but not at once after a late one.
        self._due = max(self._due + self._period, at + self._period / 2)
        return True


@dataclass(frozen=True)
class Pace:
    """How many of a camera's frames the box can bear.

    Args:
        share: tells which share of them is to be taken now, 0 to 1; asked for each frame, in the camera's thread.
        longest_gap: seconds; frames are only left out as long as two that are taken lie no farther apart.
    """

    share: Callable[[], float] = lambda: 1.0
    longest_gap: float = 0.0


class Thinning:
    """Leaves out frames evenly, so that the share that is wanted remains.

    Args:
        pace: which share.
    """

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._credit = 0.0
        self._before: float | None = None
        self._taken: float | None = None

    def passes(self, at: float) -> bool:
        """Whether the frame of ``at`` (seconds, rising) is to be kept."""
        self._credit += self._pace.share()
        passes = self._credit >= 1 - _ROUNDING or self._would_be_missed(at)
        if passes:
            self._credit, self._taken = max(0.0, self._credit - 1), at
        self._before = at
        return passes

    def _would_be_missed(self, at: float) -> bool:
        """Whether the next frame, one step after this one as this one was after the last, would come too late."""
        if self._taken is None or self._before is None:
            return True
        return at - self._taken + (at - self._before) > self._pace.longest_gap + _ROUNDING


class Gate:
    """Which of a camera's frames are taken: at most so many a second, and of those as many as the box can bear.

    Args:
        fps: tells the limit, None for none; it may change.
        pace: what the box can bear.
    """

    def __init__(self, fps: Callable[[], float | None], pace: Pace) -> None:
        self._fps = fps
        self._limit = RateLimit(fps())
        self._thinning = Thinning(pace)

    def left_out(self, at: float) -> Literal["rate", "shed"] | None:
        """Why the frame of ``at`` (seconds, rising) is not taken; None where it is."""
        fps = self._fps()
        if fps != self._limit.fps:
            self._limit = RateLimit(fps)
        if not self._limit.passes(at):
            return "rate"
        return None if self._thinning.passes(at) else "shed"
