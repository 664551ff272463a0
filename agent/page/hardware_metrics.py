"""What the hardware tells, as samples of the metrics in `agent.page.metrics`."""

from __future__ import annotations

from collections.abc import Iterator

from contracts.health import Accelerator, Health, Telemetry, Throttling
from runtime.prometheus import Sample

_MEGA = 1e6


def of_hardware(health: Health) -> Iterator[Sample]:
    """All that is known now."""
    if health.shedding is not None:
        yield "edgetally_frames_taken_ratio", (), health.shedding.share
    if health.telemetry is not None:
        yield from _of_telemetry(health.telemetry)


def _of_telemetry(told: Telemetry) -> Iterator[Sample]:
    for sensor, temperature in told.temperatures.items():
        yield "edgetally_temperature_celsius", (sensor,), temperature.celsius
        yield from _known("edgetally_temperature_hot_celsius", (sensor,), temperature.hot)
    if told.throttling is not None:
        yield from _of_throttling(told.throttling)
    for rail, watts in told.watts.items():
        yield "edgetally_power_watts", (rail,), watts
    yield from _known("edgetally_cpu_load_ratio", (), told.cpu_load)
    yield from _known("edgetally_memory_used_bytes", (), told.memory_used_mb, _MEGA)
    yield from _known("edgetally_memory_bytes", (), told.memory_mb, _MEGA)
    for name, accelerator in told.accelerators.items():
        yield from _of_accelerator(name, accelerator)


def _of_throttling(throttling: Throttling) -> Iterator[Sample]:
    yield "edgetally_throttled", (), float(throttling.now)
    yield "edgetally_throttling_total", (), float(throttling.spells)
    for reason in (*throttling.reasons, *throttling.caps):
        yield "edgetally_throttle_reason", (reason,), 1.0


def _of_accelerator(name: str, one: Accelerator) -> Iterator[Sample]:
    yield from _known("edgetally_accelerator_load_ratio", (name,), one.load)
    yield from _known("edgetally_accelerator_clock_hertz", (name,), one.mhz, _MEGA)
    yield from _known("edgetally_accelerator_memory_used_bytes", (name,), one.memory_used_mb, _MEGA)
    yield from _known("edgetally_accelerator_memory_bytes", (name,), one.memory_mb, _MEGA)


def _known(metric: str, labels: tuple[str, ...], value: float | None, unit: float = 1.0) -> Iterator[Sample]:
    if value is not None:
        yield metric, labels, value * unit
