"""What crosses a simulated line: as many as chance has it around a mean that may change with the hour."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

_HOUR_MS = 3_600_000
_MANY = 50  # from here on a normal distribution differs by less than 2 %


def expected(per_hour: float, profile: Sequence[float], begin_ms: int, end_ms: int) -> float:
    """How many are expected in a window.

    Args:
        per_hour: where the profile has 1.
        profile: 24 factors, by the hour of the window's middle in UTC; empty: the same all day.
        begin_ms: of the window, milliseconds since 1970.
        end_ms: of it.
    """
    hour = (begin_ms + end_ms) // 2 // _HOUR_MS % 24
    return per_hour * (profile[hour] if profile else 1.0) * (end_ms - begin_ms) / _HOUR_MS


def poisson(mean: float, chance: random.Random) -> int:
    """A number of events of which so many are expected; Knuth's way where few are, a normal one where many."""
    if mean > _MANY:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), chance.random(), 0
    while product > limit:
        product *= chance.random()
        count += 1
    return count
