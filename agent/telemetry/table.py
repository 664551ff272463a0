"""The readers: one a kind of sensor, each used where the box has what it reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from agent.telemetry.cooling_devices import CoolingDevices
from agent.telemetry.core_sensors import CoreSensors, CoreTrips
from agent.telemetry.devfreq_gpu import DevfreqGpu
from agent.telemetry.host_load import HostLoad
from agent.telemetry.intel_gpu import IntelGpu
from agent.telemetry.intel_npu import IntelNpu
from agent.telemetry.jetson_alarms import JetsonAlarms
from agent.telemetry.nvidia_gpu import NvidiaGpu
from agent.telemetry.power_rails import PowerRails
from agent.telemetry.rapl import Rapl
from agent.telemetry.raspberry_pi import RaspberryPi
from agent.telemetry.reading import Reader
from agent.telemetry.thermal_zones import ThermalZones

READERS: Mapping[str, Callable[[Path], Reader | None]] = MappingProxyType(
    {
        "host load": HostLoad.find,
        "thermal zones": ThermalZones.find,
        "cooling devices": CoolingDevices.find,
        "core sensors": CoreSensors.find,
        "core trips": CoreTrips.find,
        "power rails": PowerRails.find,
        "rapl": Rapl.find,
        "jetson alarms": JetsonAlarms.find,
        "devfreq gpu": DevfreqGpu.find,
        "raspberry pi": RaspberryPi.find,
        "intel gpu": IntelGpu.find,
        "intel npu": IntelNpu.find,
        "nvidia gpu": NvidiaGpu.find,
    }
)
"""What it is called to who finds it below a root: None where the box has no such thing."""


def find_readers(root: Path) -> dict[str, Reader]:
    """The readers of a box, by their names.

    Args:
        root: the file system's root; tests give the tree of another board.
    """
    readers = {name: find(root) for name, find in READERS.items()}
    return {name: reader for name, reader in readers.items() if reader is not None}
