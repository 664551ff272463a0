"""A running agent is asked to test itself, for a picture, and to start anew."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av
import numpy as np

from contracts.rpc import DriftReset, RpcReply, SelfTest, Snapshot
from tests.e2e.agents import PATIENCE, ROOT, Agent, camera, reports
from tests.fakes.rpc import request
from tests.integration.brokers import Mosquitto, Watcher

LEFT = [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]


def settings(bundle: Path, port: int) -> dict[str, Any]:
    return {
        "bundle": str(bundle),
        "broker": {"host": "127.0.0.1", "port": port},
        "rpc": {"snapshot": True, "restart": True, "restart_unmanaged": True, "drift_reset": True},
        "privacy": {"blur": ["plates"]},
        "camera": [camera("synthetic", fps=10, mask=[{"polygon": LEFT}])],
    }


def ask(watcher: Watcher, op: str) -> RpcReply:
    """Ask, and wait for the next reply."""
    payload = json.dumps(request(op, f"{op}-{time.time_ns()}", time.time())).encode()
    before = len(watcher.payloads("/reply"))
    watcher.publish(f"edgetally/v1/box-1/rpc/{op}", payload)
    watcher.wait_for(lambda: len(watcher.payloads("/reply")) > before)
    return RpcReply.model_validate_json(watcher.payloads("/reply")[before])


def counted(watcher: Watcher) -> bool:
    return any(report.count is not None for report in reports(watcher))


def test_a_running_agent_tests_itself_and_shows_what_it_may(tmp_path: Path, bundle: Path, mosquitto: Mosquitto) -> None:
    with Watcher(mosquitto.port) as watcher, Agent(tmp_path, settings(bundle, mosquitto.port)):
        watcher.wait_for(lambda: counted(watcher))
        tested = ask(watcher, "self-test").result
        assert isinstance(tested, SelfTest)
        parts = {part.part: part for part in tested.parts}
        assert set(parts) == {"model main", "broker", "disk", "clock", "camera gate"}
        for part in ("model main", "broker", "disk", "camera gate"):
            assert parts[part].passed, parts[part].text
        assert "golden samples" in parts["model main"].text
        snapshot = ask(watcher, "snapshot").result
        assert isinstance(snapshot, Snapshot)
        picture = decoded(snapshot)
        middle = picture.shape[1] // 2
        assert np.median(picture[:, : middle - 8]) < 8
        assert picture[:, middle + 16 :].std() > 10
        reset = ask(watcher, "drift-reset").result
        assert isinstance(reset, DriftReset)
        watcher.wait_for(lambda: f'"since":"{reset.since}"'.encode() in b"".join(watcher.payloads("/health")[-1:]))
        assert ask(watcher, "restart").code == "too_often"


def decoded(snapshot: Snapshot) -> np.ndarray[Any, np.dtype[np.uint8]]:
    with av.open(io.BytesIO(base64.b64decode(snapshot.jpeg)), "r") as container:
        frame = next(container.decode(video=0))
        return np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)


def test_it_ends_with_the_code_that_asks_to_be_started_anew(tmp_path: Path, bundle: Path, mosquitto: Mosquitto) -> None:
    Agent(tmp_path, settings(bundle, mosquitto.port))  # writes its agent.toml
    program = "import agent.rpc.table as table; table.LEAST_UPTIME = 0.0; from agent.cli import main; main()"
    command = [sys.executable, "-c", program, "run", "--config", str(tmp_path / "agent.toml")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EDGETALLY_")}
    with Watcher(mosquitto.port) as watcher, (tmp_path / "agent.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT, env=environment)
        try:
            watcher.wait_for(lambda: counted(watcher))
            assert ask(watcher, "restart").ok
            assert process.wait(PATIENCE) == 75
        finally:
            process.kill()
            process.wait()
        watcher.wait_for(lambda: any(b'"offline"' in payload for payload in watcher.payloads("/status")))
        assert b'"stopped"' in watcher.payloads("/status")[-1], "it said goodbye: nothing was lost"
