"""The kernel's thermal zones (Linux: Documentation/driver-api/thermal/sysfs-api.rst): every ARM board has them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agent.telemetry.reading import Reading, Sensor
from agent.telemetry.sysfs import apart, found, name, scaled, text

MILLI = 1e-3
PLAUSIBLE = (-60.0, 160.0)  # degrees; a zone that is off reads -274, 0 K or a raw register
_TRIPS = (60.0, 150.0)  # degrees; others are place-holders, or of a case that a hand holds
_BELOW_CRITICAL = 25.0
"""Where a board only tells at which point it switches off. A Raspberry Pi says 110 degrees, and slows down from 80."""

_NO_SENSORS = ("PMIC-Die", "thermal-fan-est", "iwlwifi")
"""What only looks like the chip's temperature. Jetson's PMIC-Die (JetPack 4) always says 100, thermal-fan-est is a mean
for the fan, and what a wireless card does about its heat is its own affair."""

_OF_THE_PROCESSOR = "x86_pkg_temp"
_PROCESSOR_TRIP = 95.0  # degrees; Intel's processors slow down at 100 or 105, and this zone does not say where


@dataclass(frozen=True)
class _Zone:
    """A zone: its name, the file of its temperature, and the trip point."""

    name: str
    path: Path
    trip: float | None


class ThermalZones:
    """All zones that tell a temperature.

    Args:
        zones: each with its folder.
    """

    def __init__(self, zones: list[tuple[str, Path]]) -> None:
        named = list(apart(zones))
        trips = {word: _slowing(path) for word, path in named}
        if not any(trips.values()):
            trips = {word: _from_critical(word, path) for word, path in named}
        self._zones = [_Zone(word, path / "temp", trips[word]) for word, path in named]

    @classmethod
    def find(cls, root: Path) -> ThermalZones | None:
        """Those of a board; None where it has none."""
        zones = [(name(path / "type", path.name), path) for path in found(root, "sys/class/thermal/thermal_zone*")]
        told_better = _has_coretemp(root)
        kept = [
            (word, path)
            for word, path in zones
            if not word.startswith(_NO_SENSORS) and not (told_better and word == _OF_THE_PROCESSOR)
        ]
        return cls(kept) if kept else None

    def read(self, now: float) -> Reading:
        """See `Reader.read`."""
        del now
        seen = [(zone, degrees(zone.path)) for zone in self._zones]
        return Reading(sensors={zone.name: Sensor(at, zone.trip) for zone, at in seen if at is not None})


def degrees(path: Path) -> float | None:
    """The file's millidegrees in degrees; None where there is no sensible temperature in it."""
    celsius = scaled(path, MILLI)
    return None if celsius is None or not PLAUSIBLE[0] <= celsius <= PLAUSIBLE[1] else round(celsius, 1)


def _slowing(zone: Path) -> float | None:
    """The lowest point at which the kernel slows the board down."""
    return min(_points(zone, "passive", "hot"), default=None)


def _from_critical(word: str, zone: Path) -> float | None:
    """The same on a board that does not say it for any zone."""
    critical = [point - _BELOW_CRITICAL for point in _points(zone, "critical")]
    return min(critical, default=_PROCESSOR_TRIP if word == _OF_THE_PROCESSOR else None)


def _points(zone: Path, *kinds: str) -> list[float]:
    """Degrees of the zone's trip points of these kinds, as far as they are sensible."""
    paths = [path for path in found(zone, "trip_point_*_type") if text(path).strip() in kinds]
    points = [degrees(path.with_name(path.name.replace("_type", "_temp"))) for path in paths]
    return [point for point in points if point is not None and _TRIPS[0] <= point <= _TRIPS[1]]


def _has_coretemp(root: Path) -> bool:
    return any(text(path).strip() == "coretemp" for path in found(root, "sys/class/hwmon/hwmon*/name"))
