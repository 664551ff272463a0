"""What time it is, as everything on this side takes it; simulations let it run faster."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Milliseconds since 1970 in UTC."""


def wall_ms() -> int:
    """By this machine's clock."""
    return time.time_ns() // 1_000_000
