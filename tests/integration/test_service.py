"""The agent as a service: what its manager hears while it counts, when a camera is gone, where it hangs, at the end."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.agents import ROOT, Agent
from tests.integration.boxes import box, health, road, watcher
from tests.integration.brokers import Mosquitto, Watcher, free_port, mosquitto, wait_until
from tests.integration.confined import missing
from tests.integration.managers import Manager
from tests.integration.test_fleet_inventory import Serving

__all__ = ["mosquitto", "watcher"]

WATCHDOG = 4.0  # seconds; a frame that is two of them in the lanes is a hang


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with Manager(tmp_path, WATCHDOG) as listening:
        yield listening


def service(folder: Path, settings: dict[str, Any], manager: Manager, *, breaks: str | None = None) -> Agent:
    program = ("agent.cli",) if breaks is None else ("tests.integration.faulty_agent", breaks)
    return Agent(folder, settings, program=program, environment=manager.environment, until_end=False)


def test_it_is_ready_without_a_broker_and_the_watchdog_is_fed_while_it_counts(tmp_path: Path, manager: Manager) -> None:
    with service(tmp_path, road(tmp_path, free_port()), manager) as agent:
        manager.wait_for("READY=1")
        manager.wait_until_fed(4)
        wait_until(lambda: manager.status.startswith("counting 1 of 1 cameras"))
        assert manager.status.endswith("broker away, reports wait")
        assert agent.stop() == 0
    manager.wait_for("STOPPING=1")
    said = "".join(manager.heard)
    assert said.count("READY=1") == 1
    assert said.index("READY=1") < said.index("STOPPING=1")


def test_a_camera_that_is_gone_is_no_reason_to_be_started_anew(tmp_path: Path, manager: Manager) -> None:
    nowhere = f"rtsp://127.0.0.1:{free_port()}/nothing"
    with service(tmp_path, box(tmp_path, free_port(), [{"id": "gate", "source": nowhere}]), manager) as agent:
        manager.wait_for("READY=1")
        agent.wait_for_log("camera gate")
        manager.wait_until_fed(8)  # twice the watchdog's time
        assert manager.status.startswith("counting 0 of 1 cameras")


@pytest.mark.parametrize("breaks", ["lane-hangs", "view-hangs"])
def test_a_frame_that_does_not_come_out_of_the_lanes_starves_the_watchdog(
    breaks: str, tmp_path: Path, manager: Manager
) -> None:
    agent = service(tmp_path, road(tmp_path, free_port()), manager, breaks=breaks)
    with agent:
        manager.wait_for("READY=1")
        agent.wait_for_log("the watchdog is not fed any more")
        fed = manager.fed
        told = len(manager.heard)
        wait_until(lambda: len(manager.heard) >= told + 4)  # a whole watchdog's time
        assert manager.fed == fed
        assert "a restart is due" in manager.status
        agent._end(signal.SIGABRT)  # as systemd does
    assert "Fatal Python error: Aborted" in agent.log.read_text(), "the log says where each thread stood"


@pytest.mark.parametrize(
    ("breaks", "line"),
    [("daemon-hangs", "CameraSet.look hangs"), ("counter-hangs", "BoxCounter.update hangs")],
)
def test_a_daemon_that_does_not_come_round_says_nothing_any_more(
    breaks: str, line: str, tmp_path: Path, manager: Manager
) -> None:
    agent = service(tmp_path, road(tmp_path, free_port()), manager, breaks=breaks)
    with agent:
        manager.wait_for("READY=1")
        agent.wait_for_log(line)
        wait_until(lambda: manager.silent_for(WATCHDOG))
        agent._end(signal.SIGABRT)  # as systemd does
    assert "Fatal Python error: Aborted" in agent.log.read_text(), "the log says where each thread stood"


def test_a_wrong_agent_toml_is_left_for_the_last_that_counted_and_the_service_says_so(
    tmp_path: Path, manager: Manager, mosquitto: Mosquitto, watcher: Watcher
) -> None:
    settings = road(tmp_path, mosquitto.port)
    agent = service(tmp_path, settings, manager, breaks="lasts-soon")
    with agent:
        wait_until((tmp_path / "service/last-good/agent.toml").exists)
    good = (tmp_path / "agent.toml").read_text()
    (tmp_path / "agent.toml").write_text(good.replace("window_seconds", "windw_seconds"))
    for _ in range(5):
        agent.start()
        assert agent.wait() == 2
    with agent:
        wait_until(lambda: "the last good one runs; counting 1 of 1 cameras" in manager.status)
        watcher.wait_for(lambda: health(watcher)[-1].config_problems)
    assert "did not come up 5 times" in agent.log.read_text()


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_it_counts_under_the_system_calls_that_its_unit_allows(tmp_path: Path, manager: Manager) -> None:
    agent = Agent(
        tmp_path,
        road(tmp_path, free_port()),
        program=("tests.integration.confined", "edgetally-agent.service", "agent.cli"),
        environment=manager.environment,
        until_end=False,
    )
    with agent:
        wait_until(lambda: manager.status.startswith("counting 1 of 1 cameras"))
        assert agent.stop() == 0
    assert "not permitted" not in agent.log.read_text()


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_the_controller_serves_under_the_system_calls_that_its_unit_allows(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    confined = ("tests.integration.confined", "edgetally-fleet.service", "fleet.cli")
    with Serving(tmp_path, mosquitto.port, program=confined) as serving:
        serving.start()
        assert serving.end(signal.SIGTERM) == 0
        assert not serving.said("not permitted")


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_the_console_serves_under_the_system_calls_that_its_unit_allows(tmp_path: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "tests.integration.confined", "edgetally-console.service", "fleet.cli", "console"]
    command += ["--database", str(tmp_path / "fleet.db"), "--listen", listen]
    with (tmp_path / "log").open("wb") as log:
        console = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT)
    try:
        wait_until(lambda: _answers(f"http://{listen}/"))
    finally:
        console.terminate()
    assert console.wait(60) == 0
    assert "not permitted" not in (tmp_path / "log").read_text()


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url).close()
    except urllib.error.HTTPError:  # it has no user yet, and says so
        return True
    except OSError:
        return False
    return True
