"""The page of a running agent shows what is published, and says so where nothing can be counted."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

from contracts.messages import CountReport
from tests.e2e.agents import Agent, camera, line, reports, run_cli
from tests.integration.brokers import Mosquitto, Watcher, free_port


def get(port: int, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
            return int(answer.status), answer.read()
    except urllib.error.HTTPError as error:
        return int(error.code), error.read()


def test_a_running_agent_is_seen_on_its_page_in_the_terminal_and_by_prometheus(
    tmp_path: Path, bundle: Path, mosquitto: Mosquitto
) -> None:
    port = free_port()
    settings = {
        "bundle": str(bundle),
        "broker": {"host": "127.0.0.1", "port": mosquitto.port},
        "page": {"address": f"127.0.0.1:{port}"},
        "camera": [camera("synthetic", fps=10, line=[line(0.6)])],
    }
    with Watcher(mosquitto.port) as watcher, Agent(tmp_path, settings):
        watcher.wait_for(lambda: len([report for report in reports(watcher) if _counted(report)]) >= 2)
        status, health = get(port, "/healthz")
        assert (status, json.loads(health)["cameras"]["gate"]["counting"]) == (200, True)
        state = json.loads(get(port, "/api/state")[1])
        assert state["cameras"]["gate"]["quality"] == "ok"
        assert state["cameras"]["gate"]["count"] is not None
        assert {one["artifact"] for one in state["facts"]["artifacts"]} >= {"x86-openvino/fp32", "x86-onnxruntime/fp32"}
        assert state["health"]["telemetry"]["memory_mb"] > 0
        assert state["health"]["shedding"] == {"share": 1.0, "why": None, "seconds": None}
        kind, picture = get(port, "/api/cameras/gate/picture.jpg")
        assert (kind, picture[:2]) == (200, b"\xff\xd8")
        assert b'edgetally_camera_up{camera="gate"} 1' in get(port, "/metrics")[1]
        seen = run_cli("agent.cli", "top", "--once", "--json", "--url", f"http://127.0.0.1:{port}")
        assert seen.returncode == 0, seen.stderr
        assert json.loads(seen.stdout)["cameras"]["gate"]["quality"] == "ok"


def _counted(report: CountReport) -> bool:
    return report.quality == "ok" and report.count is not None


def test_a_page_that_cannot_listen_is_said_and_the_agent_counts_on(
    tmp_path: Path, bundle: Path, mosquitto: Mosquitto
) -> None:
    settings = {
        "bundle": str(bundle),
        "broker": {"host": "127.0.0.1", "port": mosquitto.port},
        "page": {"address": f"127.0.0.1:{mosquitto.port}"},
        "camera": [camera("synthetic", fps=10)],
    }
    agent = Agent(tmp_path, settings)
    with Watcher(mosquitto.port) as watcher, agent:
        watcher.wait_for(lambda: any(_counted(report) for report in reports(watcher)))
    assert "the page is not shown: cannot listen on" in agent.log.read_text()
