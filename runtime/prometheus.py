"""Metrics in Prometheus' text format, from specs that say what there is and samples that say how it is now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

Sample = tuple[str, tuple[str, ...], float]
"""Name of a metric, the values of its labels, and its own."""


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


def exposition(specs: Sequence[MetricSpec], samples: Iterable[Sample]) -> bytes:
    """The metrics in Prometheus' text format 0.0.4; samples of what no spec names are left out."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(list(_families(specs, samples))))
    return generate_latest(registry)


def _families(specs: Sequence[MetricSpec], samples: Iterable[Sample]) -> Iterator[Metric]:
    by_name: dict[str, list[Sample]] = {}
    for sample in samples:
        by_name.setdefault(sample[0], []).append(sample)
    for spec in specs:
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
