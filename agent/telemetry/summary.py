"""From what the readers see to what is told: one `Telemetry`, with how long and how often the box was throttled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from agent.telemetry.reading import Reading, Sensor
from contracts.health import Telemetry, Temperature, Throttling

MARGIN = 5.0  # degrees below the point at which the board slows itself down
DEFAULT_TRIP = 80.0  # degrees, where a sensor does not say where that is

Value = TypeVar("Value")


class Spells:
    """How long the box is throttled, and how often that began."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._count = 0

    def look(self, throttles: Mapping[str, bool], caps: Mapping[str, bool], now: float) -> Throttling | None:
        """What to tell; None where nothing tells whether the box is throttled.

        Args:
            throttles: whether each reason holds.
            caps: likewise, of limits that are no throttling.
            now: monotonic seconds.
        """
        if not throttles and not caps:
            self._since = None
            return None
        held = any(throttles.values())
        if held and self._since is None:
            self._since, self._count = now, self._count + 1
        elif not held:
            self._since = None
        return Throttling(
            now=held,
            reasons=tuple(sorted(reason for reason, holds in throttles.items() if holds)),
            caps=tuple(sorted(reason for reason, holds in caps.items() if holds)),
            seconds=None if self._since is None else round(now - self._since, 1),
            spells=self._count,
        )


def summary(readings: Sequence[Reading], spells: Spells, now: float, hot: float | None = None) -> Telemetry:
    """All readings of one moment as one.

    Args:
        readings: of all readers; names that two of them share are the later one's.
        spells: of this box; it goes on from here.
        now: monotonic seconds.
        hot: degrees from which every sensor is hot; None for each one's own trip point less a margin, or the default
            where no sensor has one.
    """
    temperatures = _temperatures(_joined(reading.sensors for reading in readings), hot)
    hottest = max(temperatures, key=lambda name: temperatures[name].celsius, default=None)
    return Telemetry(
        temperatures=temperatures,
        hottest=hottest,
        celsius=None if hottest is None else temperatures[hottest].celsius,
        throttling=spells.look(
            _joined(reading.throttles for reading in readings), _joined(reading.caps for reading in readings), now
        ),
        watts=_joined(reading.watts for reading in readings),
        cpu_load=_first(reading.cpu_load for reading in readings),
        memory_used_mb=_first(reading.memory_used_mb for reading in readings),
        memory_mb=_first(reading.memory_mb for reading in readings),
        accelerators=_joined(reading.accelerators for reading in readings),
    )


def _temperatures(sensors: Mapping[str, Sensor], hot: float | None) -> dict[str, Temperature]:
    """Where some sensors say at which point the board slows down, the others are not ones that it slows down for."""
    default = None if any(sensor.trip is not None for sensor in sensors.values()) else DEFAULT_TRIP
    trips = {name: default if sensor.trip is None else sensor.trip for name, sensor in sensors.items()}
    limits = {name: None if trip is None else round(trip - MARGIN, 1) for name, trip in trips.items()}
    return {
        name: Temperature(celsius=sensor.celsius, hot=limits[name] if hot is None else hot)
        for name, sensor in sensors.items()
    }


def _joined(parts: Iterable[Mapping[str, Value]]) -> dict[str, Value]:
    return {name: value for part in parts for name, value in part.items()}


def _first(values: Iterable[float | None]) -> float | None:
    return next((value for value in values if value is not None), None)
