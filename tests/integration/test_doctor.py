"""The doctor on a real box: its runtimes, a camera, a broker, and an agent that counts meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.doctor.table import CHECKS
from agent.mqtt.check import exchange
from contracts.config import BrokerConfig
from tests.e2e.agents import ROOT, Agent
from tests.integration.boxes import box, road
from tests.integration.brokers import Mosquitto, free_port, mosquitto, wait_until

__all__ = ["mosquitto"]


def doctor(folder: Path, *arguments: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """Exit code, and findings by check."""
    command = [
        sys.executable,
        "-m",
        "agent.cli",
        "doctor",
        "--json",
        "--config",
        str(folder / "agent.toml"),
        *arguments,
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EDGETALLY_")}
    run = subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    assert "secret" not in run.stdout + run.stderr
    told = json.loads(run.stdout)
    assert told["exit_code"] == run.returncode
    return run.returncode, {one["check"]: one["findings"] for one in told["checks"]}


def only(*names: str) -> list[str]:
    return [word for name in names for word in ("--only", name)]


def files(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*")}


def test_a_box_that_is_well_is_found_to_be_and_nothing_on_it_changes(tmp_path: Path, mosquitto: Mosquitto) -> None:
    with Agent(tmp_path, road(tmp_path, mosquitto.port), until_end=False) as agent:
        wait_until((tmp_path / "state").exists)
        agent.wait_for_log("running ")
        agent.stop()
    before = files(tmp_path)
    code, found = doctor(tmp_path, *only("config", "disk", "runtimes", "models", "cameras", "broker"))
    levels = {name: {one["level"] for one in findings} for name, findings in found.items()}
    assert code in {0, 3}, found  # an accelerator's runtime may be installed here, without the accelerator
    assert levels["config"] == levels["disk"] == levels["models"] == levels["cameras"] == levels["broker"] == {"ok"}
    assert {"loads, and 6 times 7 is 42"} <= {one["text"] for one in found["runtimes"]}
    assert files(tmp_path) == before


def test_while_the_agent_counts_it_is_asked_for_its_cameras_and_its_broker(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    settings = road(tmp_path, mosquitto.port) | {"page": {"address": f"127.0.0.1:{free_port()}"}}
    with Agent(tmp_path, settings, until_end=False) as agent:
        agent.wait_for_log("the page is at")
        wait_until(lambda: doctor(tmp_path, *only("cameras"))[1]["cameras"][0]["level"] == "ok")
        found = doctor(tmp_path, *only("cameras", "broker"))[1]
        assert found["cameras"][0]["text"].startswith("quality is ok")
        assert found["broker"][0]["text"] == "the agent that runs is connected"
        assert agent.stop() == 0


def test_what_is_wrong_is_said_without_secrets_and_with_a_command(tmp_path: Path) -> None:
    source = f"rtsp://me:secret@127.0.0.1:{free_port()}/secret"
    settings = box(tmp_path, free_port(), [{"id": "gate", "source": source}])
    settings["broker"] |= {"username": "box-1", "password": "secret"}
    Agent(tmp_path, settings)
    code, found = doctor(tmp_path, *only("cameras", "broker"))
    assert code == 2
    (camera,), (broker,) = found["cameras"], found["broker"]
    assert (camera["level"], broker["level"]) == ("wrong", "wrong")
    assert camera["do"] == "ping -c 3 127.0.0.1"
    assert "nothing listens there" in broker["text"]


def test_a_file_that_cannot_be_read_leaves_what_can_be_checked_without_it(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text('device = "Box 1"')
    code, found = doctor(tmp_path, *only("config", "hardware", "cameras"))
    assert code == 2
    assert "'device' should be" in found["config"][0]["text"]
    assert [one["level"] for one in found["cameras"]] == ["unknown"]
    assert found["hardware"][0]["level"] == "ok"


def test_every_check_can_be_left_out_but_one(tmp_path: Path) -> None:
    for name in ("clock", "service", "permissions"):
        assert list(doctor(tmp_path, *only(name))[1]) == [name]
    assert {"clock", "service", "permissions"} < CHECKS.keys()


def test_paths_may_be_relative_to_where_it_is_asked(tmp_path: Path) -> None:
    settings = road(tmp_path, free_port()) | {"bundle": "bundle", "state_dir": "state"}
    Agent(tmp_path, settings)
    command = [sys.executable, "-m", "agent.cli", "doctor", "--config", "agent.toml", *only("models", "cameras")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert run.stdout.splitlines()[-1] == "nothing is wrong", run.stdout


def test_a_message_comes_back_from_a_broker_that_lets_everybody_read(mosquitto: Mosquitto) -> None:
    assert exchange(BrokerConfig(host="127.0.0.1", port=mosquitto.port), "box-1").heard


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_both_versions_of_mqtt_are_tried_as_configured(protocol: Any, mosquitto: Mosquitto) -> None:
    config = BrokerConfig(host="127.0.0.1", port=mosquitto.port, protocol=protocol)
    assert exchange(config, "box-1").version == protocol
