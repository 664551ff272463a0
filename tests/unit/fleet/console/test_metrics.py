"""The fleet's metrics are those of the documentation and the dashboard, and are shown to who may see them."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert, update

from fleet.console.metrics import METRICS
from fleet.store.tables import PENALTY, STALE, WANTED
from tests.dashboards import Dashboard
from tests.fakes.fleet import facts, health, hello, status
from tests.unit.fleet.console.consoles import Client, Rig, rig
from tests.unit.fleet.console.test_rollouts import Moving

ROOT = Path(__file__).parents[4]
LABELS = {spec.name: set(spec.labels) for spec in METRICS}
WAITING = {
    "epoch": 1, "config_revision": 1, "config": "{}", "model_revision": 0, "models": "{}", "document": "{}",
    "expires_ms": 0, "ahead": False,
}  # fmt: skip


def scraped(console: Rig) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = console.token("vera", "read").get("/metrics")
    assert answer.status == 200
    families = text_string_to_metric_families(answer.text)
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def value(console: Rig, name: str, **labels: str) -> float | None:
    return scraped(console).get((name, frozenset(labels.items())))


def test_a_real_parser_reads_how_the_fleet_is(console: Rig) -> None:
    console.tell(
        hello("box-1"), status("online", "box-1"), facts("box-1"),
        hello("box-2"), status("offline", "box-2"), facts("box-2"), health("box-2", warnings=["look"]),
        hello("box-3", version='2"\n'), health("box-3", problems=["mend"]),
    )  # fmt: skip
    with console.database.writing() as connection:
        connection.execute(insert(STALE).values(device="box-1", since_ms=0))
        rows = [{"device": f"box-{n}", "waits_ms": console.now_ms - 5_000 * n if n else None} for n in range(3)]
        connection.execute(insert(WANTED), [WAITING | row for row in rows])
        times = {"since_ms": 0, "reason": "failed"}
        connection.execute(insert(PENALTY).values(device="box-1", until_ms=console.now_ms + 1, **times))
        connection.execute(insert(PENALTY).values(device="box-2", until_ms=console.now_ms, **times))
    Client(console.app).sign_in("vera", "guess")
    console.signed_in("vera")
    assert value(console, "edgetally_fleet_devices", hardware_class="x86_64-sse", state="ok") == 1
    assert value(console, "edgetally_fleet_devices", hardware_class="x86_64-sse", state="offline") == 1
    assert value(console, "edgetally_fleet_devices", hardware_class="x86_64-sse", state="failed") == 0
    assert value(console, "edgetally_fleet_versions", version="1.0.0") == 2
    assert value(console, "edgetally_fleet_warnings", warning="drift") == 1
    assert value(console, "edgetally_fleet_warnings", warning="update") == 1
    assert value(console, "edgetally_fleet_documents_stale") == 1
    assert value(console, "edgetally_fleet_documents_waiting") == 2
    assert value(console, "edgetally_fleet_documents_oldest_seconds") == 10
    assert value(console, "edgetally_fleet_penalties") == 1
    assert value(console, "edgetally_fleet_sessions") == 1
    assert value(console, "edgetally_fleet_console_refused_total", reason="login") == 1


def test_how_long_the_oldest_waits_is_absent_where_none_does(console: Rig) -> None:
    assert value(console, "edgetally_fleet_documents_waiting") == 0
    assert value(console, "edgetally_fleet_documents_oldest_seconds") is None


def test_rollouts_are_told_by_state_and_their_boxes_while_they_go_on(console: Rig) -> None:
    moving = Moving(console)
    number = moving.start()
    moving.later(1)
    assert value(console, "edgetally_fleet_rollouts", state="running") == 1
    assert value(console, "edgetally_fleet_rollouts", state="halted") == 0
    assert value(console, "edgetally_fleet_rollout_boxes", hardware_class="x86_64-avx2", state="committed") == 1
    assert value(console, "edgetally_fleet_rollout_boxes", hardware_class="x86_64-avx2", state="waiting") == 19
    assert value(console, "edgetally_fleet_devices_ahead") == 0
    for _ in range(3):
        moving.later(61)
    assert moving.state(number) == "completed"
    assert value(console, "edgetally_fleet_rollouts", state="completed") == 1
    assert value(console, "edgetally_fleet_rollout_boxes", hardware_class="x86_64-avx2", state="committed") is None
    with console.database.writing() as connection:
        connection.execute(update(WANTED).values(ahead=True))
    assert value(console, "edgetally_fleet_devices_ahead") == 20


def test_metrics_take_a_token_unless_they_are_open(console: Rig, tmp_path: Path) -> None:
    answer = Client(console.app).get("/metrics")
    assert (answer.status, answer.json()["error"]) == (401, "unauthenticated")
    assert console.token("ada", "admin").get("/metrics").status == 403
    (tmp_path / "open").mkdir()
    open_to_all = rig(tmp_path / "open", metrics_open=True)
    open_to_all.user("ada", "admin")
    assert Client(open_to_all.app).get("/metrics").status == 200
    assert Client(open_to_all.app).get("/api/v1/me").status == 401
    open_to_all.database.close()


def test_every_metric_that_is_told_is_declared_with_its_labels(console: Rig) -> None:
    console.tell(hello("box-1"), facts("box-1"))
    Client(console.app).sign_in("vera", "guess")
    told = scraped(console)
    assert {name for name, _ in told} <= LABELS.keys()
    for name, labels in told:
        assert {label for label, _ in labels} == LABELS[name]


def test_the_page_about_the_console_lists_them_all_and_no_other() -> None:
    text = (ROOT / "docs/console.md").read_text()
    rows = re.findall(r"^\| `(edgetally_\w+)` \| (\w+) \| (.*?) \| (.*) \|$", text, re.MULTILINE)
    documented = [(name, kind, tuple(re.findall(r"`(\w+)`", labels)), text) for name, kind, labels, text in rows]
    assert documented == [(spec.name, spec.kind, spec.labels, spec.text) for spec in METRICS]


def test_the_dashboard_asks_only_for_metrics_and_labels_that_exist_and_shows_every_one() -> None:
    dashboard = Dashboard("edgetally-fleet.json", LABELS)
    dashboard.check_names()
    dashboard.check_layout()
    assert dashboard.shown == LABELS.keys()
