"""A running agent takes documents from a real broker and drawings from its page, and loses no frame of what stays."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contracts.desired import Reported
from contracts.messages import CameraState, CountReport, Hello, Status
from contracts.topics import Channel, Topic
from tests.e2e.agents import Agent, reports, run_cli
from tests.integration.brokers import Mosquitto, Watcher, free_port, mosquitto
from tests.integration.pages import Visitor
from tests.integration.squares import camera, crossed_after, write_bundle, write_pictures
from tests.unit.agent.remote.boxes import as_bytes, desired, time_text

__all__ = ["mosquitto"]
DESIRED = str(Topic("box-1", Channel.DESIRED))
LOWER = {"name": "lower", "start": [0.0, 0.7], "end": [1.0, 0.7]}
LEFT = {"name": "left", "polygon": [[0, 0], [0.4, 0], [0.4, 1], [0, 1]]}


@pytest.fixture
def settings(tmp_path: Path, mosquitto: Mosquitto) -> dict[str, Any]:
    return {
        "bundle": str(write_bundle(tmp_path / "squares.bundle")),
        "broker": {"host": "127.0.0.1", "port": mosquitto.port},
        "state_seconds": 0.2,
        "camera": [camera(write_pictures(tmp_path / "road"))],
    }


def send(watcher: Watcher, config: dict[str, Any], revision: int = 1) -> None:
    """A document as an operator publishes it, retained."""
    now = time.time()
    document = desired(config, revision, issued=time_text(now), expires=time_text(now + 3600))
    watcher.publish(DESIRED, as_bytes(document), retain=True)


def answers(watcher: Watcher) -> list[Reported]:
    return [Reported.model_validate_json(payload) for payload in watcher.payloads("/reported")]


def answered(watcher: Watcher, check: Callable[[Reported], object]) -> Reported:
    """The first answer of which it holds."""
    watcher.wait_for(lambda: any(check(one) for one in answers(watcher)))
    return next(one for one in answers(watcher) if check(one))


def counted(watcher: Watcher, name: str = "gate") -> list[CountReport]:
    """A camera's reports in which frames were counted."""
    return [report for report in reports(watcher) if report.camera == name and report.frames_seen]


def crossed(found: list[CountReport], line: str = "mid") -> tuple[int, int, int]:
    """Frames, and in and out of a line, of all these reports."""
    sums = [(one.frames_seen, one.lines[line].in_, one.lines[line].out) for one in found]
    frames, ins, outs = map(sum, zip(*sums, strict=True))
    return frames, ins, outs


def complete(watcher: Watcher) -> list[CountReport]:
    """All reports, of which no number is missing."""
    found = reports(watcher)
    assert [report.seq for report in found] == list(range(1, len(found) + 1))
    return found


def test_cameras_and_lines_change_by_a_document_and_a_camera_that_stays_loses_no_frame(
    tmp_path: Path, mosquitto: Mosquitto, settings: dict[str, Any]
) -> None:
    road = settings["camera"][0]
    yard = road | {"id": "yard", "line": [LOWER]}
    with Watcher(mosquitto.port) as watcher:
        with Agent(tmp_path, settings):
            watcher.wait_for(lambda: counted(watcher))
            assert answered(watcher, lambda one: one.state == "local").refused is None
            send(watcher, {"camera": [yard], "window_seconds": 2})
            answered(watcher, lambda one: (one.state, one.config_revision) == ("ok", 1))
            watcher.wait_for(lambda: counted(watcher, "yard"))
            send(watcher, {"camera": [{"id": "gate", "zone": [LEFT]}]}, 2)
            watcher.wait_for(lambda: any(report.zones for report in counted(watcher)))
            watcher.wait_for(lambda: watcher.payloads("/yard/state")[-1] == b"")  # the retained state of who left
            send(watcher, {"camera": [{"id": "gate", "zone": [LEFT], "line": [{"name": "mid", "start": [0, 0.6]}]}]}, 3)
            watcher.wait_for(lambda: len({one.lines["mid"].counter_id for one in counted(watcher)}) == 2)
        found = [report for report in complete(watcher) if report.camera == "gate"]
    counters = list(dict.fromkeys(report.lines["mid"].counter_id for report in found))
    first = [report for report in found if report.lines["mid"].counter_id == counters[0]]
    frames, ins, outs = crossed(first)
    assert (ins, outs) == crossed_after(frames)  # neither the other camera nor the new zone cost a frame or a track
    assert (first[-1].lines["mid"].total_in, first[-1].lines["mid"].total_out) == (ins, outs)
    lengths = {report.window.end > report.window.start for report in found}
    assert lengths == {True}
    assert not any("yard" in report.camera for report in reports(watcher)[-2:])


def test_what_is_wrong_in_a_document_is_told_field_by_field_and_nothing_changes(
    tmp_path: Path, mosquitto: Mosquitto, settings: dict[str, Any]
) -> None:
    wrong = [
        {"id": "gate", "line": [{"name": "mid", "labels": ["circle"]}]},
        {"id": "yard", "source": "rstp://192.0.2.1/x"},
        {"id": "shed", "source": "synthetic", "model": "mian"},
    ]
    with Watcher(mosquitto.port) as watcher, Agent(tmp_path, settings):
        answered(watcher, lambda one: one.state == "local")
        send(watcher, {"camera": wrong[:2]})
        refused = answered(watcher, lambda one: one.refused is not None).refused
        assert refused is not None
        assert [one.path for one in refused.errors] == ["config.camera.gate", "config.camera.yard.source"]
        assert "'circle'" in refused.errors[0].problem
        assert "did you mean 'rtsp'?" in refused.errors[1].problem
        send(watcher, {"camera": wrong[2:]}, 2)
        last = answered(watcher, lambda one: one.refused is not None and one.refused.config_revision == 2)
        assert last.refused is not None
        assert "did you mean 'main'?" in last.refused.reason
        assert (last.state, last.config_revision) == ("local", None)


def test_what_does_not_run_of_a_document_is_told_and_is_not_taken_back(
    tmp_path: Path, mosquitto: Mosquitto, settings: dict[str, Any]
) -> None:
    with Watcher(mosquitto.port) as watcher, Agent(tmp_path, settings):
        answered(watcher, lambda one: one.state == "local")
        send(watcher, {"camera": [{"id": "yard", "source": str(tmp_path / "no-such-clip.mp4")}]})
        told = answered(watcher, lambda one: one.state == "degraded")
        assert [(one.path, "file not found" in one.problem) for one in told.errors] == [("camera.yard.source", True)]
        assert told.config_revision == 1


def test_a_document_runs_again_after_a_restart_and_the_box_says_so_at_once(
    tmp_path: Path, mosquitto: Mosquitto, settings: dict[str, Any]
) -> None:
    agent = Agent(tmp_path, settings)
    with Watcher(mosquitto.port) as watcher:
        with agent:
            answered(watcher, lambda one: one.state == "local")
            send(watcher, {"camera": [{"id": "gate", "line": [{"name": "mid", "enabled": False}, LOWER]}]})
            watcher.wait_for(lambda: any(set(report.lines) == {"lower"} for report in counted(watcher)))
        watcher.publish(DESIRED, b"", retain=True)  # the operator's broker forgot
        seen = len(watcher.messages)
        with agent:
            watcher.wait_for(lambda: any(m.topic.endswith("/counts") for m in watcher.messages[seen:]))
    hello = Hello.model_validate_json(watcher.payloads("/hello")[-1])
    assert (hello.epoch, hello.config_revision) == (1, 1)
    assert set(reports(watcher)[-1].lines) == {"lower"}
    shown = run_cli("agent.cli", "config", "--config", tmp_path / "agent.toml", "--explain")
    assert "camera.gate.line.lower.start" in shown.stdout
    assert "remote" in next(row for row in shown.stdout.splitlines() if "line.lower.start" in row)


def test_a_box_moves_to_another_broker_without_a_gap_in_its_numbers(
    tmp_path: Path, mosquitto: Mosquitto, settings: dict[str, Any]
) -> None:
    other = Mosquitto(tmp_path).start()
    try:
        with Watcher(mosquitto.port) as before, Watcher(other.port) as after, Agent(tmp_path, settings):
            before.wait_for(lambda: counted(before))
            send(before, {"broker": {"port": other.port}})
            answered(after, lambda one: one.state == "confirming")
            answered(after, lambda one: one.state == "ok")
            after.wait_for(lambda: counted(after))
            left = Status.model_validate_json(before.payloads("/status")[-1])
            assert (left.status, left.reason) == ("offline", "moving to another broker")
            assert after.payloads("/facts")  # what was told before is told to the new one too
            numbers = {report.seq for report in [*reports(before), *reports(after)]}
            assert numbers == set(range(1, max(numbers) + 1))
    finally:
        other.stop()


def test_a_brokers_password_that_a_document_brings_is_shown_by_no_line_of_the_pages_log(
    tmp_path: Path, mosquitto: Mosquitto, settings: dict[str, Any]
) -> None:
    port, secret = free_port(), "correct-horse"
    leaky = {"id": "yard", "source": str(tmp_path / f"{secret}.mp4")}  # what has the password's text in its name
    with (
        Watcher(mosquitto.port) as watcher,
        Agent(tmp_path, settings | {"page": {"address": f"127.0.0.1:{port}"}}),
    ):
        answered(watcher, lambda one: one.state == "local")
        send(watcher, {"camera": [leaky]})
        answered(watcher, lambda one: one.state == "degraded")
        page = Visitor(port)
        assert secret in page.ask("/api/logs").body.decode(), "nobody could know that it is one"
        send(watcher, {"camera": [leaky], "broker": {"username": "box", "password": secret}}, 2)
        watcher.wait_for(lambda: len(watcher.payloads("/hello")) == 2)
        assert secret not in page.ask("/api/logs").body.decode()


def test_what_is_drawn_on_the_page_is_counted_at_once_and_after_a_restart(
    tmp_path: Path, mosquitto: Mosquitto, settings: dict[str, Any]
) -> None:
    port = free_port()
    agent = Agent(tmp_path, settings | {"page": {"address": f"127.0.0.1:{port}"}})
    place = "/api/cameras/gate/lines-and-zones"
    with Watcher(mosquitto.port) as watcher:
        with agent:
            watcher.wait_for(lambda: counted(watcher))
            page = Visitor(port)
            answer = page.change(place, {"line": [LOWER], "zone": []})
            assert (answer.status, answer.json()) == (200, {"problems": [], "note": ""})
            watcher.wait_for(lambda: any(set(report.lines) == {"lower"} for report in counted(watcher)))
            told = answered(watcher, lambda one: one.page)
            assert [row["id"] for row in told.page["camera"]] == ["gate"]  # type: ignore[attr-defined]
            refused = page.change(place, {"line": [LOWER | {"labels": ["circle"]}]})
            assert (refused.status, "'circle'" in refused.json()["problems"][0]) == (422, True)
        seen = len(watcher.messages)
        with agent:
            watcher.wait_for(lambda: any(m.topic.endswith("/counts") for m in watcher.messages[seen:]))
            assert set(reports(watcher)[-1].lines) == {"lower"}


def test_where_the_operators_document_sets_a_line_a_drawing_is_kept_as_a_proposal(
    tmp_path: Path, mosquitto: Mosquitto, settings: dict[str, Any]
) -> None:
    port = free_port()
    with (
        Watcher(mosquitto.port) as watcher,
        Agent(tmp_path, settings | {"page": {"address": f"127.0.0.1:{port}"}}),
    ):
        send(watcher, {"camera": [{"id": "gate", "line": [{"name": "mid", "start": [0, 0.4], "end": [1, 0.4]}]}]})
        answered(watcher, lambda one: one.state == "ok")
        moved = {"name": "mid", "start": [0, 0.8], "end": [1, 0.8]}
        answer = Visitor(port).change("/api/cameras/gate/lines-and-zones", {"line": [moved]})
        assert (answer.status, answer.json()["problems"]) == (200, [])
        assert "kept as a proposal" in answer.json()["note"]
        told = answered(watcher, lambda one: one.page)
        assert told.page["camera"][0]["line"][0]["start"] == [0, 0.8]  # type: ignore[index]
        state = json.loads(Visitor(port).ask("/api/state").body)
        assert state["watched"][0]["line"][0]["start"] == [0, 0.4]


def test_cameras_of_one_box_are_counted_by_different_models(
    tmp_path: Path, mosquitto: Mosquitto, settings: dict[str, Any]
) -> None:
    road = settings["camera"][0]
    second = write_bundle(tmp_path / "second.bundle")
    both = settings | {
        "models": {"second": {"bundle": str(second)}},
        "camera": [road, road | {"id": "yard", "model": "second"}],
    }
    with Watcher(mosquitto.port) as watcher:
        with Agent(tmp_path, both):
            watcher.wait_for(lambda: counted(watcher) and counted(watcher, "yard") and watcher.payloads("/health"))
            answered(watcher, lambda one: set(one.models) == {"main", "second"})
            send(watcher, {"camera": [{"id": "yard", "model": "main"}]})
            answered(watcher, lambda one: one.state == "ok")
            states = len(watcher.payloads("/yard/state"))
            watcher.wait_for(lambda: _available(watcher.payloads("/yard/state")[states:]))
        complete(watcher)
    for name in ("gate", "yard"):
        frames, ins, outs = crossed(counted(watcher, name))
        if name == "gate":
            assert (ins, outs) == crossed_after(frames)
    health = json.loads(watcher.payloads("/health")[-1])
    assert {name: one["artifact"] for name, one in health["models"].items()} == {
        "main": "x86-onnxruntime/fp32",
        "second": "x86-onnxruntime/fp32",
    }
    facts = json.loads(watcher.payloads("/facts")[-1])
    assert {one["model"] for one in facts["artifacts"]} == {"main", "second"}


def test_a_model_that_does_not_work_here_stops_no_camera_of_another(
    tmp_path: Path, mosquitto: Mosquitto, settings: dict[str, Any]
) -> None:
    road = settings["camera"][0]
    foreign = write_bundle(tmp_path / "foreign.bundle", requires=[{"fact": "gpu.sm", "equals": "none-has-this"}])
    both = settings | {
        "models": {"foreign": {"bundle": str(foreign)}},
        "camera": [road, road | {"id": "yard", "model": "foreign"}],
    }
    with Watcher(mosquitto.port) as watcher, Agent(tmp_path, both):
        watcher.wait_for(lambda: counted(watcher))
        told = answered(watcher, lambda one: one.errors)
        assert [one.path for one in told.errors] == ["models.foreign"]
        assert "gpu.sm" in told.errors[0].problem
        watcher.wait_for(lambda: any(report.camera == "yard" for report in reports(watcher)))
        blind = next(report for report in reports(watcher) if report.camera == "yard")
        assert (blind.count, blind.frames_seen) == (None, 0)
        states = [CameraState.model_validate_json(payload) for payload in watcher.payloads("/yard/state")]
        assert states[-1].quality == "model_error"


def _available(payloads: list[bytes]) -> bool:
    return any(CameraState.model_validate_json(payload).available for payload in payloads if payload)
