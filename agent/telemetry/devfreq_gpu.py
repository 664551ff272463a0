"""GPUs of systems-on-chip: Jetson's, Rockchip's Mali and Qualcomm's Adreno with its maker's driver."""

from __future__ import annotations

import re
from pathlib import Path

from agent.telemetry.reading import Reading
from agent.telemetry.sysfs import found, scaled, text
from contracts.health import Accelerator

_IS_GPU = re.compile(r"gpu|gpc|mali|3d0|gm20b|gp10b|gv11b|ga10b", re.IGNORECASE)
"""In a devfreq device's name: ``57000000.gpu``, ``17000000.ga10b``, ``gpu-gpc-0``, ``fb000000.gpu``."""

_PERMILLE = ("sys/devices/gpu.0/load", "sys/devices/platform/gpu.0/load", "sys/class/devfreq/*/device/load")
_PERCENT = ("sys/class/devfreq/*/load", "sys/class/kgsl/kgsl-3d0/gpu_busy_percentage")
_MEGA = 1e-6


class DevfreqGpu:
    """The chip's GPU; there is one.

    Args:
        load: the file of its load, and what makes 0 to 1 of it; None where there is none.
        clock: the file of its frequency in Hz.
    """

    def __init__(self, load: tuple[Path, float] | None, clock: Path | None) -> None:
        self._load = load
        self._clock = clock

    @classmethod
    def find(cls, root: Path) -> DevfreqGpu | None:
        """That of a board; None where it tells neither load nor frequency."""
        loads = [(path, 1e-3) for pattern in _PERMILLE for path in _of_gpu(root, pattern)]
        loads += [(path, 1e-2) for pattern in _PERCENT for path in _of_gpu(root, pattern)]
        clock = next(iter(_of_gpu(root, "sys/class/devfreq/*/cur_freq")), None)
        return cls(loads[0] if loads else None, clock) if loads or clock else None

    def read(self, now: float) -> Reading:
        """See `Reader.read`."""
        del now
        load = None if self._load is None else _share(*self._load)
        mhz = None if self._clock is None else scaled(self._clock, _MEGA)
        known = load is not None or mhz is not None
        return Reading(accelerators={"gpu": Accelerator(load=load, mhz=mhz)} if known else {})


def _of_gpu(root: Path, pattern: str) -> list[Path]:
    return [path for path in found(root, pattern) if _IS_GPU.search(str(path.relative_to(root)))]


def _share(path: Path, unit: float) -> float | None:
    """``512``, ``12@300000000Hz`` or ``12 %`` in units."""
    match = re.match(r"\s*([0-9]{1,4})(?=[@% \n]|$)", text(path))
    share = None if match is None else int(match[1]) * unit
    return None if share is None or share > 1 else round(share, 3)
