"""NVIDIA's library NVML as `pynvml` shows it, with numbers that a test sets."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace


@dataclass
class FakeGpu:
    """One GPU; None is what its driver does not tell."""

    celsius: int | None = 61
    slowdown: int | None = 93
    milliwatts: int | None = 142_500
    busy: int | None = 87
    memory: tuple[int, int] | None = (3_000_000_000, 24_000_000_000)
    clock: int | None = 1695
    reasons: int | None = 0


@dataclass
class FakeNvml(ModuleType):
    """The functions that are asked.

    Attributes:
        gpus: those that it has.
        old: a driver that lacks the newer question for the temperature.
    """

    gpus: list[FakeGpu] = field(default_factory=lambda: [FakeGpu()])
    old: bool = False

    class NVMLError(Exception):
        """Raised for what the driver does not tell."""

    NVML_TEMPERATURE_GPU = 0
    NVML_TEMPERATURE_THRESHOLD_SLOWDOWN = 1
    NVML_CLOCK_SM = 1
    nvmlClocksThrottleReasonSwPowerCap = 0x4  # noqa: N815 - the library's names
    nvmlClocksThrottleReasonHwSlowdown = 0x8  # noqa: N815
    nvmlClocksThrottleReasonSwThermalSlowdown = 0x20  # noqa: N815
    nvmlClocksThrottleReasonHwThermalSlowdown = 0x40  # noqa: N815
    nvmlClocksThrottleReasonHwPowerBrakeSlowdown = 0x80  # noqa: N815

    def __post_init__(self) -> None:
        super().__init__("pynvml")

    def nvmlInit(self) -> None:  # noqa: N802
        """Nothing to do."""

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        """How many there are."""
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, number: int) -> FakeGpu:  # noqa: N802
        """One of them."""
        return self.gpus[number]

    def nvmlDeviceGetTemperatureV(self, gpu: FakeGpu, sensor: int) -> int:  # noqa: N802
        """Degrees."""
        if self.old:
            raise self.NVMLError("Function Not Found")
        return self.nvmlDeviceGetTemperature(gpu, sensor)

    def nvmlDeviceGetTemperature(self, gpu: FakeGpu, sensor: int) -> int:  # noqa: N802
        """Degrees."""
        assert sensor == self.NVML_TEMPERATURE_GPU
        return self._told(gpu.celsius)

    def nvmlDeviceGetTemperatureThreshold(self, gpu: FakeGpu, threshold: int) -> int:  # noqa: N802
        """Degrees."""
        assert threshold == self.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN
        return self._told(gpu.slowdown)

    def nvmlDeviceGetPowerUsage(self, gpu: FakeGpu) -> int:  # noqa: N802
        """Milliwatts."""
        return self._told(gpu.milliwatts)

    def nvmlDeviceGetUtilizationRates(self, gpu: FakeGpu) -> SimpleNamespace:  # noqa: N802
        """Percent."""
        return SimpleNamespace(gpu=self._told(gpu.busy), memory=40)

    def nvmlDeviceGetMemoryInfo(self, gpu: FakeGpu) -> SimpleNamespace:  # noqa: N802
        """Bytes."""
        if gpu.memory is None:
            raise self.NVMLError("Not Supported")
        return SimpleNamespace(used=gpu.memory[0], total=gpu.memory[1])

    def nvmlDeviceGetClockInfo(self, gpu: FakeGpu, clock: int) -> int:  # noqa: N802
        """MHz."""
        assert clock == self.NVML_CLOCK_SM
        return self._told(gpu.clock)

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, gpu: FakeGpu) -> int:  # noqa: N802
        """Bits."""
        return self._told(gpu.reasons)

    def _told(self, value: int | None) -> int:
        if value is None:
            raise self.NVMLError("Not Supported")
        return value
