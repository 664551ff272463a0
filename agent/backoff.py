"""How long to wait before the next try: longer each time, and never in step with the other boxes."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Literal

Jitter = Literal["full", "equal"]
"""``full``: anywhere from 0 to the ceiling; ``equal``: the upper half of that, so that a wait is never near 0."""


class Backoff:
    """Waits that grow by ``factor`` from ``first`` to ``most``, each spread by chance.

    A thousand boxes that lose one broker at the same moment must not come back at the same moment.

    Args:
        first: ceiling of the first wait, seconds, above 0.
        most: ceiling of every wait, seconds, at least ``first``.
        factor: by which the ceiling grows, at least 1.
        jitter: how the wait is spread below its ceiling.
        chance: gives numbers in 0 to 1.

    Raises:
        ValueError: the numbers are not in that order.
    """

    def __init__(
        self,
        first: float = 0.5,
        most: float = 30.0,
        factor: float = 2.0,
        jitter: Jitter = "equal",
        chance: Callable[[], float] = random.random,
    ) -> None:
        if not 0 < first <= most or factor < 1:
            raise ValueError(f"expected 0 < first <= most and factor >= 1, got {first}, {most} and {factor}")
        self._first = first
        self._most = most
        self._factor = factor
        self._jitter = jitter
        self._chance = chance
        self._ceiling = first

    def next(self) -> float:
        """Seconds to wait before the try that comes now."""
        ceiling = self._ceiling
        # Kept at the ceiling rather than computed from a count of tries: a power would overflow after some days.
        self._ceiling = min(self._most, ceiling * self._factor)
        floor = ceiling / 2 if self._jitter == "equal" else 0.0
        return floor + (ceiling - floor) * self._chance()

    def reset(self) -> None:
        """Begin again with short waits, for it worked."""
        self._ceiling = self._first
