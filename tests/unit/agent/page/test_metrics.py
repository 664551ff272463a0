"""The metrics are those of the documentation and the dashboard, and never say 0 where nothing is known."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from agent.page.metrics import METRICS, exposition, samples
from agent.page.ports import AgentState
from agent.page.top import table
from contracts.health import ModelHealth, Telemetry
from contracts.messages import StateNow
from tests.dashboards import Dashboard
from tests.fakes.page import FakeAgent

ROOT = Path(__file__).parents[4]
LABELS = {spec.name: set(spec.labels) for spec in METRICS}


def scraped(state: AgentState) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(exposition(state, viewers=1).decode())
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(state: AgentState, name: str, **labels: str) -> float | None:
    return scraped(state).get((name, frozenset(labels.items())))


def test_a_real_parser_reads_what_the_agent_tells() -> None:
    state = FakeAgent().state
    assert value(state, "edgetally_camera_count", camera="north") == 3.0
    assert value(state, "edgetally_line_crossings_total", camera="north", line="gate", direction="in") == 5.0
    assert value(state, "edgetally_camera_latency_seconds", camera="north", quantile="0.99") == pytest.approx(0.031)
    assert value(state, "edgetally_camera_latency_seconds", camera="north", quantile="0.95") == pytest.approx(0.024)
    assert value(state, "edgetally_camera_frames_dropped_total", camera="north", cause="late") == 12.0
    assert value(state, "edgetally_resident_memory_bytes") == pytest.approx(210.5e6)
    assert value(state, "edgetally_camera_quality", camera="north", quality="ok") == 1.0


def test_no_data_is_absent_not_zero() -> None:
    agent = FakeAgent()
    agent.show("north", None, "stale")
    health = agent.state.health.model_copy(update={"outbox_waiting": None, "rss_mb": None, "outbox_dropped": None})
    names = {(name, labels[:1]) for name, labels, _ in samples(agent.state.model_copy(update={"health": health}), 0)}
    for name in ("edgetally_camera_count", "edgetally_zone_count"):
        assert (name, ("north",)) not in names
        assert (name, ("south",)) in names
    assert not {"edgetally_outbox_reports", "edgetally_outbox_dropped_total"} & {name for name, _ in names}
    assert value(agent.state, "edgetally_camera_up", camera="north") == 0.0


def test_the_link_to_the_broker_is_told_with_what_it_refused_by_reason() -> None:
    state = FakeAgent().state
    assert value(state, "edgetally_broker_connected") == 0.0
    assert value(state, "edgetally_messages_refused_total", reason="unexpected") == 3.0
    assert value(state, "edgetally_messages_refused_total", reason="not_text") == 0.0
    assert value(state, "edgetally_requests_refused_total") == 7.0


def test_the_hardware_is_told_in_base_units() -> None:
    state = FakeAgent().state
    assert value(state, "edgetally_temperature_celsius", sensor="tj-thermal") == 96.5
    assert value(state, "edgetally_temperature_hot_celsius", sensor="tj-thermal") == 94.0
    assert value(state, "edgetally_temperature_hot_celsius", sensor="soc0-thermal") is None
    assert value(state, "edgetally_throttled") == 1.0
    assert value(state, "edgetally_throttling_total") == 3.0
    assert value(state, "edgetally_throttle_reason", reason="power_cap") == 1.0
    assert value(state, "edgetally_power_watts", rail="VDD_IN") == 14.25
    assert value(state, "edgetally_cpu_load_ratio") == 0.5
    assert value(state, "edgetally_memory_used_bytes") == pytest.approx(3.587e9)
    assert value(state, "edgetally_memory_bytes") == pytest.approx(7.9902e9)
    assert value(state, "edgetally_accelerator_load_ratio", accelerator="gpu") == 0.98
    assert value(state, "edgetally_accelerator_clock_hertz", accelerator="gpu") == pytest.approx(624.75e6)
    assert value(state, "edgetally_accelerator_memory_bytes", accelerator="gpu") is None
    assert value(state, "edgetally_frames_taken_ratio") == 0.5


@pytest.mark.parametrize("telemetry", [None, Telemetry()])
def test_of_hardware_that_does_not_tell_there_is_no_metric(telemetry: Telemetry | None) -> None:
    state = FakeAgent().state
    health = state.health.model_copy(update={"telemetry": telemetry, "shedding": None})
    names = {name for name, _, _ in samples(state.model_copy(update={"health": health}), 0)}
    assert not [name for name in names if re.search("temperature|thrott|power|cpu|_memory_u|accelerator|taken", name)]


def test_names_that_would_break_the_format_are_escaped() -> None:
    agent = FakeAgent()
    health = agent.state.health.model_copy(update={"models": {"main": ModelHealth(artifact='a"b\\c\nd')}})
    found = scraped(agent.state.model_copy(update={"health": health}))
    assert any(dict(labels).get("artifact") == 'a"b\\c\nd' for _, labels in found)


def test_every_metric_that_is_told_is_declared_with_its_labels() -> None:
    for name, labels, _ in samples(FakeAgent().state, 0):
        assert len(labels) == len(LABELS[name]), name


def test_the_page_about_metrics_lists_them_all_and_no_other() -> None:
    text = (ROOT / "docs/metrics.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.*) \|$", text, re.MULTILINE)
    documented = [(name, kind, tuple(re.findall(r"`(\w+)`", labels)), text) for name, kind, labels, text in rows]
    assert documented == [(spec.name, spec.kind, spec.labels, spec.text) for spec in METRICS]


def test_the_dashboard_asks_only_for_metrics_and_labels_that_exist() -> None:
    dashboard = Dashboard("edgetally.json", {name: set(labels) for name, labels in LABELS.items()})
    dashboard.check_names()
    dashboard.check_layout()


def test_the_dashboard_shows_all_that_is_counted() -> None:
    counted = {spec.name for spec in METRICS if re.search(r"_count$|_crossings_|_state$|_entries_", spec.name)}
    assert len(counted) == 5
    assert counted <= Dashboard("edgetally.json", {}).shown


def test_a_classifiers_camera_tells_its_state_and_its_entries_and_no_count() -> None:
    agent = FakeAgent()
    states = {"eyes": StateNow(state="shut", since="t", entries={"shut": 3}), "mouth": StateNow(state=None, since=None)}
    north = agent.state.cameras["north"].model_copy(update={"count": None, "states": states})
    state = agent.state.model_copy(update={"cameras": {"north": north}})
    found, labels = scraped(state), frozenset({"camera": "north", "question": "eyes", "state": "shut"}.items())
    assert found["edgetally_camera_state", labels] == 1.0
    assert found["edgetally_state_entries_total", labels] == 3.0
    assert value(state, "edgetally_camera_count", camera="north") is None
    assert not any("mouth" in dict(others).values() for _, others in found)
    shown = Console(width=200, file=io.StringIO(), record=True)
    shown.print(table(state))
    assert "eyes shut" in shown.export_text()
