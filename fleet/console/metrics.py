"""The fleet as Prometheus metrics. Their names are a promise: docs/console.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from contracts.version import VERSION
from fleet.console import views
from fleet.console.console import Console
from fleet.rollout.rules import ROLLOUT_STATES
from fleet.store.devices import StoredDevice
from fleet.store.waiting import Waiting, waiting
from runtime import prometheus
from runtime.prometheus import MetricSpec, Sample

METRICS: tuple[MetricSpec, ...] = (
    MetricSpec("edgetally_fleet_info", "gauge", ("version",), "Always 1; the version of the console."),
    MetricSpec("edgetally_fleet_devices", "gauge", ("hardware_class", "state"), "Boxes; each state of a class."),
    MetricSpec("edgetally_fleet_versions", "gauge", ("version",), "Boxes by the version of their agent."),
    MetricSpec("edgetally_fleet_warnings", "gauge", ("warning",), "Boxes that somebody should see to."),
    MetricSpec("edgetally_fleet_documents_stale", "gauge", (), "Boxes whose document is to be worked out anew."),
    MetricSpec("edgetally_fleet_documents_waiting", "gauge", (), "Documents that are to be published."),
    MetricSpec(
        "edgetally_fleet_documents_oldest_seconds", "gauge", (), "How long the oldest waits; absent where none does."
    ),
    MetricSpec(
        "edgetally_fleet_devices_ahead", "gauge", (), "Boxes that were given newer documents than the database knows."
    ),
    MetricSpec("edgetally_fleet_rollouts", "gauge", ("state",), "Rollouts; each state."),
    MetricSpec(
        "edgetally_fleet_rollout_boxes",
        "gauge",
        ("hardware_class", "state"),
        "Boxes of rollouts that did not end, by how they stand; states that none is in are absent.",
    ),
    MetricSpec("edgetally_fleet_penalties", "gauge", (), "Boxes that no rollout takes for now."),
    MetricSpec("edgetally_fleet_sessions", "gauge", (), "Sessions of the console that were not ended."),
    MetricSpec(
        "edgetally_fleet_console_refused_total", "counter", ("reason",), "What this console refused since it started."
    ),
)


def exposition(console: Console) -> bytes:
    """The metrics in Prometheus' text format 0.0.4.

    Raises:
        DatabaseError: it cannot be read.
    """
    found = waiting(console.database, console.now_ms())
    return prometheus.exposition(METRICS, samples(console.known.all(), found, console.refusals))


def samples(stored: Sequence[StoredDevice], found: Waiting, refusals: Counter[str]) -> Iterator[Sample]:
    """All that is known now."""
    yield "edgetally_fleet_info", (VERSION,), 1.0
    counted = views.overview(stored)
    for of_class in counted.classes:
        for state, n in of_class.states.items():
            yield "edgetally_fleet_devices", (of_class.hardware_class, state), float(n)
    for version, n in counted.versions.items():
        yield "edgetally_fleet_versions", (version,), float(n)
    yield "edgetally_fleet_warnings", ("drift",), float(sum(bool(one.device.drift_warnings) for one in stored))
    yield "edgetally_fleet_warnings", ("update",), float(sum(bool(one.device.update_problems) for one in stored))
    yield "edgetally_fleet_warnings", ("config",), float(sum(bool(one.device.config_problems) for one in stored))
    yield "edgetally_fleet_documents_stale", (), float(found.stale)
    yield "edgetally_fleet_documents_waiting", (), float(found.documents)
    if found.oldest_seconds is not None:
        yield "edgetally_fleet_documents_oldest_seconds", (), found.oldest_seconds
    yield "edgetally_fleet_devices_ahead", (), float(found.ahead)
    for stands in ROLLOUT_STATES:
        yield "edgetally_fleet_rollouts", (stands,), float(found.rollouts.get(stands, 0))
    for (hardware_class, how), n in sorted(found.rollout_boxes.items()):
        yield "edgetally_fleet_rollout_boxes", (hardware_class, how), float(n)
    yield "edgetally_fleet_penalties", (), float(found.penalties)
    yield "edgetally_fleet_sessions", (), float(found.sessions)
    for reason, n in sorted(refusals.items()):
        yield "edgetally_fleet_console_refused_total", (reason,), float(n)
