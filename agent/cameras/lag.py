"""How far a stream has fallen behind its own clock: what a decoder that cannot keep up does to it, unseen.

The frames wait in the network's buffers then, for many seconds, and each still looks as if it had just been taken.
"""

from __future__ import annotations

import time
from collections.abc import Callable

_DRIFT = 1e-3  # seconds a second that a camera's clock may run slow without that being taken for lag; quartz: 1e-4
_LONGEST_STEP = 60.0  # seconds between two stamps; a stream that jumps further, or back, has begun again


class Lag:
    """Compares a frame's stamp with the moment of its coming, and that with the frame that came with the least delay.

    A network that stalled for a while catches up by itself, and its frames are wanted: only a stream that stays behind
    for as long as the limit is too far behind.

    Args:
        limit: seconds.
        clock: seconds, monotonic.
    """

    def __init__(self, limit: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._least = 0.0
        self._last: tuple[float, float] | None = None  # stamp, and when it came
        self._behind_since: float | None = None
        self.is_too_long = False

    def note(self, stamp: float | None) -> None:
        """A frame came; its stamp in seconds of the stream's own time, None where it has none."""
        if stamp is None:
            return
        now = self._clock()
        if self._last is None or not 0 <= stamp - self._last[0] <= _LONGEST_STEP:
            self._least = now - stamp
        else:
            self._least = min(self._least + _DRIFT * (now - self._last[1]), now - stamp)
        self._last = (stamp, now)
        if now - stamp - self._least <= self._limit:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = now
        self.is_too_long = self._behind_since is not None and now - self._behind_since >= self._limit
