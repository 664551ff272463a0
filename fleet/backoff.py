"""Waiting before something that failed is tried again."""

from __future__ import annotations

import random
import time


class Backoff:
    """A wait that grows, spread by chance: programs that fail together do not come back together.

    Args:
        first: seconds of the first wait, at most; each further one is twice as long.
        longest: seconds of any, at most.
    """

    def __init__(self, first: float, longest: float) -> None:
        self._first = first
        self._longest = longest
        self._ceiling = first
        self._until = 0.0

    @property
    def left(self) -> float:
        """Seconds that are left, never below 0."""
        return max(0.0, self._until - time.monotonic())

    @property
    def is_over(self) -> bool:
        """Whether nothing is left."""
        return self.left == 0.0

    def longer(self) -> None:
        """It failed: wait, and longer than the last time."""
        self._until = time.monotonic() + self._ceiling * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        self._ceiling = min(self._longest, self._ceiling * 2)

    def reset(self) -> None:
        """It worked: the next wait is the first one."""
        self._ceiling, self._until = self._first, 0.0
