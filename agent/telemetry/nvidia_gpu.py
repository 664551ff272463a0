"""NVIDIA's GPUs by their driver's library NVML; the package ``nvidia-ml-py`` (extra ``nvidia``) opens it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

from agent.telemetry.reading import Reading, Sensor
from contracts.health import Accelerator

_DRIVER = "proc/driver/nvidia/version"
_HELD: Mapping[str, str] = {
    "HwSlowdown": "hardware_slowdown",
    "SwThermalSlowdown": "heat",
    "HwThermalSlowdown": "heat_in_hardware",
    "HwPowerBrakeSlowdown": "power_brake",
}
"""End of the name ``nvmlClocksThrottleReason...`` to our reason."""
_CAPPED: Mapping[str, str] = {"SwPowerCap": "power_cap"}
_MILLI, _MICRO = 1e-3, 1e-6

_log = logging.getLogger(__name__)


def load_nvml() -> ModuleType | None:
    """The library, ready to be asked; None where the package or the driver's library is missing."""
    try:
        import pynvml
    except ImportError:
        _log.info("the NVIDIA GPU is not asked for its temperature and load; install edgetally[nvidia] for that")
        return None
    nvml: ModuleType = pynvml
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        _log.info("the NVIDIA GPU does not tell its temperature and load: %s", error)
        return None
    return nvml


class NvidiaGpu:
    """All GPUs of the driver.

    Args:
        nvml: the library, as `load_nvml` gives it.
        handles: one a GPU.
    """

    def __init__(self, nvml: ModuleType, handles: list[object]) -> None:
        self._nvml = nvml
        self._handles = handles

    @classmethod
    def find(cls, root: Path, load: Callable[[], ModuleType | None] = load_nvml) -> NvidiaGpu | None:
        """Those of a box; None where there is no driver, or nothing to ask it with."""
        nvml = load() if (root / _DRIVER).exists() else None
        if nvml is None:
            return None
        try:
            handles = [nvml.nvmlDeviceGetHandleByIndex(number) for number in range(nvml.nvmlDeviceGetCount())]
        except nvml.NVMLError:
            return None
        return cls(nvml, handles) if handles else None

    def read(self, now: float) -> Reading:
        """See `Reader.read`."""
        del now
        every = [(f"nvidia{number}", handle) for number, handle in enumerate(self._handles)]
        bits = {gpu: self._asked("nvmlDeviceGetCurrentClocksThrottleReasons", handle) for gpu, handle in every}
        known = {gpu: int(word) for gpu, word in bits.items() if word is not None}
        accelerators = {gpu: self._accelerator(handle) for gpu, handle in every}
        watts = {gpu: self._number(_MILLI, "nvmlDeviceGetPowerUsage", handle) for gpu, handle in every}
        return Reading(
            sensors={gpu: sensor for gpu, handle in every if (sensor := self._sensor(handle)) is not None},
            throttles=self._reasons(known, _HELD),
            caps=self._reasons(known, _CAPPED),
            watts={gpu: value for gpu, value in watts.items() if value is not None},
            accelerators={gpu: one for gpu, one in accelerators.items() if one != Accelerator()},
        )

    def _sensor(self, handle: object) -> Sensor | None:
        nvml = self._nvml
        celsius = self._number(1.0, "nvmlDeviceGetTemperatureV", handle, nvml.NVML_TEMPERATURE_GPU)
        if celsius is None:  # drivers before 570
            celsius = self._number(1.0, "nvmlDeviceGetTemperature", handle, nvml.NVML_TEMPERATURE_GPU)
        slows = self._number(1.0, "nvmlDeviceGetTemperatureThreshold", handle, nvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN)
        return None if celsius is None else Sensor(celsius, slows)

    def _accelerator(self, handle: object) -> Accelerator:
        use = self._asked("nvmlDeviceGetUtilizationRates", handle)
        memory = self._asked("nvmlDeviceGetMemoryInfo", handle)
        return Accelerator(
            load=None if use is None else round(use.gpu / 100, 3),
            mhz=self._number(1.0, "nvmlDeviceGetClockInfo", handle, self._nvml.NVML_CLOCK_SM),
            memory_used_mb=None if memory is None else round(memory.used * _MICRO, 1),
            memory_mb=None if memory is None else round(memory.total * _MICRO, 1),
        )

    def _reasons(self, words: Mapping[str, int], names: Mapping[str, str]) -> dict[str, bool]:
        """Whether each reason's bit is set in each GPU's word."""
        bits = {reason: getattr(self._nvml, f"nvmlClocksThrottleReason{end}") for end, reason in names.items()}
        return {f"{gpu}:{reason}": bool(word & bit) for gpu, word in words.items() for reason, bit in bits.items()}

    def _number(self, unit: float, question: str, *about: object) -> float | None:
        answer = self._asked(question, *about)
        return None if answer is None else round(answer * unit, 3)

    def _asked(self, question: str, *about: object):  # type: ignore[no-untyped-def] # noqa: ANN202 - the library has no types
        """What the driver answers; None where this GPU, driver or version of the package does not tell."""
        try:
            return getattr(self._nvml, question)(*about)
        except (self._nvml.NVMLError, AttributeError):
            return None
