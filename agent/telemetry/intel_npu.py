"""Intel's NPU: how long it was busy (Linux 6.11: drivers/accel/ivpu/ivpu_sysfs.c), its clock and memory where told."""

from __future__ import annotations

from pathlib import Path

from agent.telemetry.reading import Differences, Reading
from agent.telemetry.sysfs import found, scaled
from contracts.health import Accelerator

_MICRO = 1e-6


class IntelNpu:
    """All NPUs.

    Args:
        devices: their folders, in order.
    """

    def __init__(self, devices: list[Path]) -> None:
        self._devices = devices
        self._differences = Differences()

    @classmethod
    def find(cls, root: Path) -> IntelNpu | None:
        """Those of a box; None where it has none that tells its busy time."""
        devices = [path.parent for path in found(root, "sys/class/accel/accel*/device/npu_busy_time_us")]
        return cls(devices) if devices else None

    def read(self, now: float) -> Reading:
        """See `Reader.read`."""
        accelerators = {}
        for number, device in enumerate(self._devices):
            load = self._differences.share(str(number), scaled(device / "npu_busy_time_us", _MICRO), now)
            accelerators[f"npu{number}"] = Accelerator(
                load=load,
                mhz=scaled(device / "npu_current_frequency_mhz", 1.0),
                memory_used_mb=scaled(device / "npu_memory_utilization", _MICRO),
            )
        return Reading(accelerators={word: one for word, one in accelerators.items() if one != Accelerator()})
