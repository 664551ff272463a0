"""How often something may be done: so many at once, then so many a second."""

from __future__ import annotations

from collections.abc import Callable


class Allowance:
    """A bucket of tokens; used by one thread.

    Args:
        most: at once.
        per_second: that come back.
        clock: seconds, monotonic.
    """

    def __init__(self, most: float, per_second: float, clock: Callable[[], float]) -> None:
        self._most = most
        self._per_second = per_second
        self._clock = clock
        self._left = most
        self._at = clock()

    @property
    def wait(self) -> float:
        """Seconds until one is there."""
        self._refill()
        return max(0.0, (1.0 - self._left) / self._per_second)

    def take(self) -> bool:
        """Take one; returns whether there was one."""
        self._refill()
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

    def _refill(self) -> None:
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._at) * self._per_second)
        self._at = now
