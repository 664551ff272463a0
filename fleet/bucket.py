"""How often something may be done: in this process's memory, bounded, and never forever."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

Monotonic = Callable[[], float]
"""Seconds by a clock that is never set."""

_MOST_KEYS = 10_000


class Bucket:
    """Lets so many through at once, and then so many a second; for use by several threads at once.

    Args:
        most: at once.
        seconds: until all of them came back.
        clock: seconds, monotonic.
    """

    def __init__(self, most: int, seconds: float, clock: Monotonic = time.monotonic) -> None:
        self._most = float(most)
        self._rate = most / seconds
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str) -> float:
        """Let one through: 0; or the seconds until one may come again."""
        with self._lock:
            left = self._now(key)
            if left < 1.0:
                return (1.0 - left) / self._rate
            self._set(key, left - 1.0)
            return 0.0

    def give_back(self, key: str) -> None:
        """One that was taken does not count."""
        with self._lock:
            self._set(key, min(self._most, self._now(key) + 1.0))

    def _now(self, key: str) -> float:
        left, at = self._left.get(key, (self._most, 0.0))
        return min(self._most, left + (self._clock() - at) * self._rate)

    def _set(self, key: str, left: float) -> None:
        self._left[key] = (left, self._clock())
        self._left.move_to_end(key)
        while len(self._left) > _MOST_KEYS:
            self._left.popitem(last=False)
