"""A clock that goes faster than the machine's, the same in every process that is told when it began."""

from __future__ import annotations

from dataclasses import dataclass

from fleet.clock import wall_ms


@dataclass(frozen=True)
class FastClock:
    """A clock.

    Args:
        began_ms: when it began, milliseconds since 1970 by the machine's clock; then both show the same.
        speed: how many of its seconds go by in one of the machine's.
    """

    began_ms: int
    speed: float = 1.0

    def __call__(self) -> int:
        """Milliseconds since 1970."""
        return self.began_ms + round((wall_ms() - self.began_ms) * self.speed)

    def seconds(self, simulated: float) -> float:
        """How many of the machine's seconds so many of this clock's take."""
        return simulated / self.speed
