"""Jetson Orin's and Thor's alarms of current and voltage: counters of events that slowed the board for a moment.

NVIDIA, Jetson Linux Developer Guide, "Platform Power and Performance": oc1 is the input's under-voltage, oc2 its
average and oc3 its instantaneous over-current.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from agent.telemetry.reading import Differences, Reading
from agent.telemetry.sysfs import found, integer

_MEANS: Mapping[str, str] = {
    "oc1": "under_voltage",
    "oc2": "average_over_current",
    "oc3": "instantaneous_over_current",
}
_HEAVY = "oc1"
"""Events of over-current come by the thousand at full load in the faster power modes, with little lost each time."""


class JetsonAlarms:
    """All counters.

    Args:
        counters: by what they count.
    """

    def __init__(self, counters: Mapping[str, Path]) -> None:
        self._counters = counters
        self._differences = Differences()

    @classmethod
    def find(cls, root: Path) -> JetsonAlarms | None:
        """Those of a board; None where it has none."""
        paths = found(root, "sys/class/hwmon/hwmon*/oc[0-9]_event_cnt")
        counters = {path.name.partition("_")[0]: path for path in paths}
        return cls(counters) if counters else None

    def read(self, now: float) -> Reading:
        """See `Reader.read`."""
        rises = {alarm: self._differences.rise(alarm, integer(path), now) for alarm, path in self._counters.items()}
        holds = {alarm: rise[0] > 0 for alarm, rise in rises.items() if rise is not None}
        return Reading(
            throttles={_MEANS[alarm]: held for alarm, held in holds.items() if alarm == _HEAVY},
            caps={_MEANS.get(alarm, alarm): held for alarm, held in holds.items() if alarm != _HEAVY},
        )
