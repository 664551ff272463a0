"""The agent's state as Prometheus metrics. Their names are a promise: docs/metrics.md."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from agent.page.hardware_metrics import of_hardware
from agent.page.ports import AgentState
from contracts.health import DRIFT_INDICATORS, CameraDrift, CameraHealth, DriftIndicator, StageLatency
from contracts.messages import CameraState, Quality
from runtime import prometheus
from runtime.prometheus import MetricSpec, Sample

_CAMERA = ("camera",)
_INDICATOR = ("camera", "indicator")

METRICS: tuple[MetricSpec, ...] = (
    MetricSpec("edgetally_info", "gauge", ("device", "version"), "Always 1."),
    MetricSpec("edgetally_model_info", "gauge", ("model", "artifact"), "Always 1; artifact is what counts now."),
    MetricSpec("edgetally_uptime_seconds", "gauge", (), "Since the agent started."),
    MetricSpec("edgetally_resident_memory_bytes", "gauge", (), "Resident memory of the agent."),
    MetricSpec("edgetally_outbox_reports", "gauge", (), "Reports that wait for the broker."),
    MetricSpec("edgetally_outbox_dropped_total", "counter", (), "Reports dropped because too many waited."),
    MetricSpec("edgetally_broker_connected", "gauge", (), "1 while the broker is connected."),
    MetricSpec("edgetally_messages_refused_total", "counter", ("reason",), "Messages that came and were refused."),
    MetricSpec("edgetally_requests_refused_total", "counter", (), "Requests over MQTT that were not carried out."),
    MetricSpec(
        "edgetally_report_latency_seconds", "gauge", ("quantile",), "Age of a report's newest frame, published."
    ),
    MetricSpec("edgetally_engine_building", "gauge", ("model",), "1 while an engine is built on this box."),
    MetricSpec("edgetally_temperature_celsius", "gauge", ("sensor",), "Temperature of the box."),
    MetricSpec("edgetally_temperature_hot_celsius", "gauge", ("sensor",), "Frames are shed from here on."),
    MetricSpec("edgetally_throttled", "gauge", (), "1 while heat or a weak supply slows the box down."),
    MetricSpec("edgetally_throttle_reason", "gauge", ("reason",), "1 for each reason that holds now."),
    MetricSpec("edgetally_throttling_total", "counter", (), "How often that began since the agent started."),
    MetricSpec("edgetally_power_watts", "gauge", ("rail",), "Power; some rails are parts of others."),
    MetricSpec("edgetally_cpu_load_ratio", "gauge", (), "Share of all cores that is busy, 0 to 1."),
    MetricSpec("edgetally_memory_used_bytes", "gauge", (), "Memory of the box that is in use."),
    MetricSpec("edgetally_memory_bytes", "gauge", (), "Memory of the box."),
    MetricSpec("edgetally_accelerator_load_ratio", "gauge", ("accelerator",), "Share of the time busy, 0 to 1."),
    MetricSpec("edgetally_accelerator_clock_hertz", "gauge", ("accelerator",), "Clock of a GPU or NPU."),
    MetricSpec("edgetally_accelerator_memory_used_bytes", "gauge", ("accelerator",), "Its own memory in use."),
    MetricSpec("edgetally_accelerator_memory_bytes", "gauge", ("accelerator",), "Its own memory."),
    MetricSpec("edgetally_frames_taken_ratio", "gauge", (), "Share of the frames taken, below 1 while load is shed."),
    MetricSpec("edgetally_page_viewers", "gauge", (), "Who watches the page now."),
    MetricSpec("edgetally_camera_up", "gauge", _CAMERA, "1 while fresh frames of the camera are counted."),
    MetricSpec("edgetally_camera_quality", "gauge", ("camera", "quality"), "1 for the quality that holds, else 0."),
    MetricSpec("edgetally_camera_fps", "gauge", _CAMERA, "Frames counted a second, mean of 5 s."),
    MetricSpec("edgetally_camera_latency_seconds", "gauge", ("camera", "quantile"), "From capture to counted."),
    MetricSpec("edgetally_camera_frames_seen_total", "counter", _CAMERA, "Frames that came."),
    MetricSpec("edgetally_camera_frames_dropped_total", "counter", ("camera", "cause"), "Frames not counted."),
    MetricSpec("edgetally_camera_reconnects_total", "counter", _CAMERA, "How often the camera was opened again."),
    MetricSpec("edgetally_camera_drift_value", "gauge", _INDICATOR, "What an indicator measured in the last hour."),
    MetricSpec("edgetally_camera_drift_change", "gauge", _INDICATOR, "How far off its usual; absent until judged."),
    MetricSpec("edgetally_camera_drift_warning", "gauge", _INDICATOR, "1 while an indicator of drift warns."),
    MetricSpec("edgetally_camera_count", "gauge", _CAMERA, "Things in the picture; absent where there is no data."),
    MetricSpec("edgetally_zone_count", "gauge", ("camera", "zone"), "Things in a zone; absent without data."),
    MetricSpec("edgetally_line_crossings_total", "counter", ("camera", "line", "direction"), "Crossings of a line."),
    MetricSpec("edgetally_camera_state", "gauge", ("camera", "question", "state"), "1 for the state that holds."),
    MetricSpec("edgetally_state_entries_total", "counter", ("camera", "question", "state"), "Entries into a state."),
)
"""Every metric. One that is not known now is absent, never 0."""


def exposition(state: AgentState, viewers: int) -> bytes:
    """The metrics in Prometheus' text format 0.0.4.

    Args:
        state: how the agent is.
        viewers: who watches the page.
    """
    return prometheus.exposition(METRICS, samples(state, viewers))


def samples(state: AgentState, viewers: int) -> Iterator[Sample]:
    """All that is known now; arguments as of `exposition`."""
    yield from _of_the_box(state)
    yield from of_hardware(state.health)
    yield "edgetally_page_viewers", (), float(viewers)
    for camera, now in state.cameras.items():
        yield from _of_counts(camera, now)
    for camera, health in state.health.cameras.items():
        yield from _of_camera(camera, health)


def _of_the_box(state: AgentState) -> Iterator[Sample]:
    health = state.health
    yield "edgetally_info", (health.device, state.version), 1.0
    yield "edgetally_uptime_seconds", (), health.uptime
    for name, model in health.models.items():
        yield "edgetally_model_info", (name, model.artifact or ""), 1.0
        yield "edgetally_engine_building", (name,), float(model.building is not None)
    if health.rss_mb is not None:
        yield "edgetally_resident_memory_bytes", (), health.rss_mb * 1e6
    if health.outbox_waiting is not None:
        yield "edgetally_outbox_reports", (), float(health.outbox_waiting)
    if health.outbox_dropped is not None:
        yield "edgetally_outbox_dropped_total", (), float(health.outbox_dropped)
    if health.broker is not None:
        yield "edgetally_broker_connected", (), float(health.broker.connected)
        for reason, messages in health.broker.messages_refused.items():
            yield "edgetally_messages_refused_total", (reason,), float(messages)
    if health.requests_refused is not None:
        yield "edgetally_requests_refused_total", (), float(health.requests_refused)
    for quantile, seconds in _quantiles(health.published_ms):
        yield "edgetally_report_latency_seconds", (quantile,), seconds


def _of_counts(camera: str, now: CameraState) -> Iterator[Sample]:
    yield "edgetally_camera_up", (camera,), float(now.available)
    for quality in get_args(Quality):
        yield "edgetally_camera_quality", (camera, quality), float(now.quality == quality)
    if now.count is not None:
        yield "edgetally_camera_count", (camera,), now.count
    for zone, count in now.zones.items():
        if count is not None:
            yield "edgetally_zone_count", (camera, zone), count
    for line, totals in now.lines.items():
        for direction, total in totals.items():
            yield "edgetally_line_crossings_total", (camera, line, direction), float(total)
    for question, held in now.states.items():
        if held.state is not None:
            yield "edgetally_camera_state", (camera, question, held.state), 1.0
        for state, total in held.entries.items():
            yield "edgetally_state_entries_total", (camera, question, state), float(total)


def _of_camera(camera: str, health: CameraHealth) -> Iterator[Sample]:
    yield "edgetally_camera_fps", (camera,), health.fps
    yield "edgetally_camera_frames_seen_total", (camera,), float(health.frames_seen)
    yield "edgetally_camera_reconnects_total", (camera,), float(health.reconnects)
    for cause, frames in health.frames_dropped.items():
        yield "edgetally_camera_frames_dropped_total", (camera, cause), float(frames)
    if health.drift is not None:
        yield from _of_drift(camera, health.drift)
    for quantile, seconds in _quantiles(health.latency_ms):
        yield "edgetally_camera_latency_seconds", (camera, quantile), seconds


def _quantiles(latency: StageLatency | None) -> Iterator[tuple[str, float]]:
    """Each quantile that is known, and its seconds."""
    if latency is None:
        return
    known = {"0.5": latency.p50, "0.9": latency.p90, "0.95": latency.p95, "0.99": latency.p99}
    for quantile, milliseconds in known.items():
        if milliseconds is not None:
            yield quantile, milliseconds / 1e3


def _of_drift(camera: str, drift: CameraDrift) -> Iterator[Sample]:
    for indicator in DRIFT_INDICATORS:
        told: DriftIndicator = getattr(drift, indicator)
        if told.value is not None:
            yield "edgetally_camera_drift_value", (camera, indicator), told.value
        if told.change is not None:
            yield "edgetally_camera_drift_change", (camera, indicator), told.change
        if told.change is not None or told.warn:
            yield "edgetally_camera_drift_warning", (camera, indicator), float(told.warn)
