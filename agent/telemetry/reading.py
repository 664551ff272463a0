"""What a reader of sensors gives, the port that all readers implement, and differences of two readings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from contracts.health import Accelerator


@dataclass(frozen=True)
class Sensor:
    """A temperature.

    Args:
        celsius: degrees.
        trip: degrees at which the board begins to slow itself down; None where it does not say.
    """

    celsius: float
    trip: float | None = None


@dataclass(frozen=True)
class Reading:
    """What one reader sees at one moment; what it cannot tell is not in it.

    Args:
        sensors: temperatures by name.
        throttles: whether each reason for which the box may be held back (heat, a weak supply) holds now.
        caps: the same for limits of power and current, at which a box may run all day.
        watts: by rail.
        cpu_load: share of all cores that was busy since the reading before.
        memory_used_mb: of the box, in MB of 10^6 bytes.
        memory_mb: all there is of it.
        accelerators: GPUs and NPUs by name.
    """

    sensors: Mapping[str, Sensor] = field(default_factory=dict)
    throttles: Mapping[str, bool] = field(default_factory=dict)
    caps: Mapping[str, bool] = field(default_factory=dict)
    watts: Mapping[str, float] = field(default_factory=dict)
    cpu_load: float | None = None
    memory_used_mb: float | None = None
    memory_mb: float | None = None
    accelerators: Mapping[str, Accelerator] = field(default_factory=dict)


class Reader(Protocol):
    """Reads some sensors. Used by one thread, which may wait for it: a driver can take long to answer."""

    def read(self, now: float) -> Reading:
        """What they say; ``now`` is monotonic seconds, from which rates are made."""


class Differences:
    """How much counters rose between two readings."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[float, float]] = {}

    def rise(self, name: str, value: float | None, now: float) -> tuple[float, float] | None:
        """What a counter rose by, and in how many seconds.

        Args:
            name: of the counter.
            value: where it stands; None where it cannot be read.
            now: monotonic seconds.

        Returns:
            None at the first reading, where there is no value or no time has passed, and where it fell: began anew.
        """
        before = self._before.pop(name, None)
        if value is None:
            return None
        self._before[name] = (value, now)
        if before is None or value < before[0] or now <= before[1]:
            return None
        return value - before[0], now - before[1]

    def share(self, name: str, seconds: float | None, now: float) -> float | None:
        """The same for a counter of seconds: the share of the time in which it ran, 0 to 1."""
        rise = self.rise(name, seconds, now)
        return None if rise is None else round(min(1.0, rise[0] / rise[1]), 3)
