"""What the kernel does against heat: its cooling devices, fans aside (Linux: .../driver-api/thermal/sysfs-api.rst)."""

from __future__ import annotations

import re
from pathlib import Path

from agent.telemetry.reading import Reading
from agent.telemetry.sysfs import found, integer, name

_SLOWS_DOWN = re.compile(
    r"(thermal-)?(cpufreq|devfreq|cpuidle|idle)-.+|.+-(alert|balanced|heavy)|Processor|intel_powerclamp", re.IGNORECASE
)
"""``cpufreq-cpu0``, ``thermal-devfreq-0``; Jetson's ``gpu-throttle-alert``, ``cpu-balanced``; ACPI's ``Processor``."""


class CoolingDevices:
    """Those that make the board slower.

    Args:
        devices: folders by what they are called; several may share a name.
    """

    def __init__(self, devices: list[tuple[str, Path]]) -> None:
        self._devices = devices

    @classmethod
    def find(cls, root: Path) -> CoolingDevices | None:
        """Those of a board; None where it has none."""
        devices = [(name(path / "type"), path) for path in found(root, "sys/class/thermal/cooling_device*")]
        slowing = [(word, path) for word, path in devices if _SLOWS_DOWN.fullmatch(word)]
        return cls(slowing) if slowing else None

    def read(self, now: float) -> Reading:
        """See `Reader.read`."""
        del now
        holds: dict[str, bool] = {}
        for word, path in self._devices:
            state = integer(path / "cur_state")
            if state is not None:
                holds[word] = holds.get(word, False) or state > 0
        return Reading(throttles=holds)
