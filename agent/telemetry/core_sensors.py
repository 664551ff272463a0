"""The sensors in x86 processors (Linux: Documentation/hwmon/coretemp.rst, k10temp.rst), and how often they tripped."""

from __future__ import annotations

from pathlib import Path

from agent.telemetry.reading import Differences, Reading, Sensor
from agent.telemetry.sysfs import apart, found, integer, name, text
from agent.telemetry.thermal_zones import degrees

_DRIVERS = {"coretemp", "k10temp"}
_WHOLE = ("Package", "Tctl")  # the hottest of the cores, where the processor tells it


class CoreSensors:
    """Temperature of each processor.

    Args:
        inputs: ``tempN_input`` by name.
    """

    def __init__(self, inputs: list[tuple[str, Path]]) -> None:
        self._inputs = [
            (word, path, degrees(path.with_name(path.name.replace("_input", "_crit")))) for word, path in apart(inputs)
        ]

    @classmethod
    def find(cls, root: Path) -> CoreSensors | None:
        """Those of a box; None where it has none."""
        chips = [chip for chip in found(root, "sys/class/hwmon/hwmon*") if text(chip / "name").strip() in _DRIVERS]
        inputs = [
            (name(path.with_name(path.name.replace("_input", "_label")), path.parent.name), path)
            for chip in chips
            for path in found(chip, "temp*_input")
        ]
        whole = [(word, path) for word, path in inputs if word.startswith(_WHOLE)]
        return cls(whole or inputs) if inputs else None

    def read(self, now: float) -> Reading:
        """See `Reader.read`."""
        del now
        seen = {word: (degrees(path), trip) for word, path, trip in self._inputs}
        return Reading(sensors={word: Sensor(at, trip) for word, (at, trip) in seen.items() if at is not None})


class CoreTrips:
    """Whether Intel's processors slowed themselves down since the reading before, by the kernel's counters.

    Args:
        counters: one a processor.
    """

    def __init__(self, counters: list[Path]) -> None:
        self._counters = counters
        self._differences = Differences()

    @classmethod
    def find(cls, root: Path) -> CoreTrips | None:
        """Those of a box; None where it has none. All processors of a package tell the same."""
        first: dict[int | None, Path] = {}
        for cpu in found(root, "sys/devices/system/cpu/cpu[0-9]*"):
            counter = cpu / "thermal_throttle/package_throttle_count"
            if integer(counter) is not None:
                first.setdefault(integer(cpu / "topology/physical_package_id"), counter)
        return cls(list(first.values())) if first else None

    def read(self, now: float) -> Reading:
        """See `Reader.read`."""
        rises = [self._differences.rise(str(counter), integer(counter), now) for counter in self._counters]
        known = [rise[0] > 0 for rise in rises if rise is not None]
        return Reading(throttles={"processor_heat": any(known)} if known else {})
