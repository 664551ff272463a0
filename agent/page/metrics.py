"""The agent's state as Prometheus metrics. Their names are a promise: docs/metrics.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from agent.page.ports import AgentState
from contracts.messages import CameraHealth, CameraState, Quality, StageLatency

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


@dataclass(frozen=True)
class MetricSpec:
    """One metric.

    Args:
        name: as it is scraped.
        kind: of it.
        labels: names of its labels.
        text: what it says, with its unit.
    """

    name: str
    kind: Literal["gauge", "counter"]
    labels: tuple[str, ...]
    text: str


_CAMERA = ("camera",)

METRICS: tuple[MetricSpec, ...] = (
    MetricSpec("edgetally_info", "gauge", ("device", "version", "artifact"), "Always 1; artifact is what counts now."),
    MetricSpec("edgetally_uptime_seconds", "gauge", (), "Since the agent started."),
    MetricSpec("edgetally_resident_memory_bytes", "gauge", (), "Resident memory of the agent."),
    MetricSpec("edgetally_outbox_reports", "gauge", (), "Reports that wait for the broker."),
    MetricSpec("edgetally_outbox_dropped_total", "counter", (), "Reports dropped because too many waited."),
    MetricSpec(
        "edgetally_report_latency_seconds", "gauge", ("quantile",), "Age of a report's newest frame, published."
    ),
    MetricSpec("edgetally_engine_building", "gauge", (), "1 while an engine is built on this box."),
    MetricSpec("edgetally_page_viewers", "gauge", (), "Who watches the page now."),
    MetricSpec("edgetally_camera_up", "gauge", _CAMERA, "1 while fresh frames of the camera are counted."),
    MetricSpec("edgetally_camera_quality", "gauge", ("camera", "quality"), "1 for the quality that holds, else 0."),
    MetricSpec("edgetally_camera_fps", "gauge", _CAMERA, "Frames counted a second, mean of 5 s."),
    MetricSpec("edgetally_camera_latency_seconds", "gauge", ("camera", "quantile"), "From capture to counted."),
    MetricSpec("edgetally_camera_frames_seen_total", "counter", _CAMERA, "Frames that came."),
    MetricSpec("edgetally_camera_frames_dropped_total", "counter", ("camera", "cause"), "Frames not counted."),
    MetricSpec("edgetally_camera_reconnects_total", "counter", _CAMERA, "How often the camera was opened again."),
    MetricSpec("edgetally_camera_count", "gauge", _CAMERA, "Things in the picture; absent where there is no data."),
    MetricSpec("edgetally_zone_count", "gauge", ("camera", "zone"), "Things in a zone; absent without data."),
    MetricSpec("edgetally_line_crossings_total", "counter", ("camera", "line", "direction"), "Crossings of a line."),
)
"""Every metric. One that is not known now is absent, never 0."""

Sample = tuple[str, tuple[str, ...], float]
"""Name, values of its labels, value."""


def exposition(state: AgentState, viewers: int) -> bytes:
    """The metrics in Prometheus' text format 0.0.4.

    Args:
        state: how the agent is.
        viewers: who watches the page.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(list(_families(samples(state, viewers)))))
    return generate_latest(registry)


def samples(state: AgentState, viewers: int) -> Iterator[Sample]:
    """All that is known now; arguments as of `exposition`."""
    yield from _of_the_box(state)
    yield "edgetally_page_viewers", (), float(viewers)
    for camera, now in state.cameras.items():
        yield from _of_counts(camera, now)
    for camera, health in state.health.cameras.items():
        yield from _of_camera(camera, health)


def _of_the_box(state: AgentState) -> Iterator[Sample]:
    health = state.health
    yield "edgetally_info", (health.device, state.version, health.artifact or ""), 1.0
    yield "edgetally_uptime_seconds", (), health.uptime
    yield "edgetally_engine_building", (), float(health.building is not None)
    if health.rss_mb is not None:
        yield "edgetally_resident_memory_bytes", (), health.rss_mb * 1e6
    if health.outbox_waiting is not None:
        yield "edgetally_outbox_reports", (), float(health.outbox_waiting)
    if health.outbox_dropped is not None:
        yield "edgetally_outbox_dropped_total", (), float(health.outbox_dropped)
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


def _of_camera(camera: str, health: CameraHealth) -> Iterator[Sample]:
    yield "edgetally_camera_fps", (camera,), health.fps
    yield "edgetally_camera_frames_seen_total", (camera,), float(health.frames_seen)
    yield "edgetally_camera_reconnects_total", (camera,), float(health.reconnects)
    for cause, frames in health.frames_dropped.items():
        yield "edgetally_camera_frames_dropped_total", (camera, cause), float(frames)
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


def _families(values: Iterable[Sample]) -> Iterator[Metric]:
    by_name: dict[str, list[Sample]] = {}
    for sample in values:
        by_name.setdefault(sample[0], []).append(sample)
    for spec in METRICS:
        family = (CounterMetricFamily if spec.kind == "counter" else GaugeMetricFamily)(
            spec.name, spec.text, labels=spec.labels
        )
        for _, labels, value in by_name.get(spec.name, ()):
            family.add_metric(labels, value)
        yield family


class _Collected(Collector):
    """Families that were made already."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families
