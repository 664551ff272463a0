"""A clock that only waiting moves."""

from __future__ import annotations


class WaitedClock:
    """Time passes where somebody waits for it, and at once.

    Attributes:
        now: seconds.
    """

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        """Seconds since it began."""
        return self.now

    def wait(self, seconds: float) -> bool:
        """Be later by so many seconds; never interrupted."""
        self.now += seconds
        return False
