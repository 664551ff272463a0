"""Remote configuration over a real broker: a document by hand, and a change of the broker itself."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.backoff import Backoff
from agent.disk import Disk
from agent.mqtt.link import LinkSettings, MqttLink
from agent.remote.control import RemoteConfig, RemoteSettings
from agent.remote.plan import Plan
from agent.remote.ports import Running
from agent.remote.store import RemoteStore
from agent.store import Store
from contracts.config import AgentConfig, BrokerConfig
from contracts.desired import Reported, WrongField
from contracts.messages import Hello
from contracts.topics import Channel, Topic
from tests.integration.brokers import PATIENCE, Mosquitto, Watcher, free_port, mosquitto
from tests.unit.agent.remote.boxes import as_bytes, desired, local, time_text

__all__ = ["mosquitto"]
DESIRED = str(Topic("box-1", Channel.DESIRED))


class LinkedBox:
    """Remote configuration with the link to a broker, and no cameras; the wiring that the daemon will have.

    Args:
        folder: for its state.
        port: of the broker in its agent.toml.
        confirm: seconds that a change of the connection has.
    """

    def __init__(self, folder: Path, port: int, confirm: float = 60.0) -> None:
        self.store = Store.open(folder)
        self.config = local(broker={"host": "127.0.0.1", "port": port})
        self._news = threading.Event()
        keys = folder / "operator-keys.json"
        settings = RemoteSettings("boot", keys, confirm_seconds=confirm, wake=self._news.set)
        self.remote = RemoteConfig(self.config, RemoteStore(Disk(folder / "remote")), settings)
        self.applied: list[AgentConfig] = []
        self._link = self._open(self.remote.config.broker)
        self.remote.start(self, self._publish)

    def apply(self, plan: Plan) -> list[WrongField]:
        """Take a configuration; a new connection begins where the broker's settings changed."""
        self.applied.append(plan.new)
        if plan.connectivity:
            self._link.stop()
            self._link = self._open(plan.new.broker)
        return []

    def running(self) -> Running:
        """Whether the broker is reached."""
        return Running(connected=self._link.connected)

    def turn_until(self, done: Callable[[], bool]) -> None:
        """Turn over as the daemon does."""
        deadline = time.monotonic() + PATIENCE
        while not done():
            assert time.monotonic() < deadline, "it should have happened by now"
            self.remote.turn()
            self._news.wait(0.05)
            self._news.clear()

    def close(self) -> None:
        """End it."""
        self._link.stop()
        self.store.close()

    def _open(self, broker: BrokerConfig) -> MqttLink:
        link = MqttLink(
            broker, "box-1", "boot", self.store,
            hello=lambda: Hello(device="box-1", boot_id="boot", version="0"),
            settings=LinkSettings(flush=0.5, farewell=0.5),
            backoff=Backoff(first=0.05, most=0.2),
            receiver=lambda message: self.remote.offer(message.payload),
        )  # fmt: skip
        link.start()
        return link

    def _publish(self, report: Reported) -> None:
        self._link.state(Topic("box-1", Channel.REPORTED), report)


@pytest.fixture
def box(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[LinkedBox]:
    linked = LinkedBox(tmp_path / "state", mosquitto.port, confirm=3.0)
    yield linked
    linked.close()


def publish(port: int, payload: bytes) -> None:
    """As docs/configuration.md says to do it by hand."""
    program = shutil.which("mosquitto_pub")
    if program is None:
        pytest.skip("no mosquitto_pub here; run: apt-get install mosquitto-clients")
    command = [program, "-p", str(port), "-t", DESIRED, "-q", "1", "-r", "-s"]
    subprocess.run(command, input=payload, check=True)


def document(config: dict[str, Any], revision: int) -> bytes:
    now = time.time()
    return as_bytes(desired(config, revision, issued=time_text(now), expires=time_text(now + 3600)))


def reports(watcher: Watcher) -> list[Reported]:
    return [Reported.model_validate_json(payload) for payload in watcher.payloads("/reported")]


def test_a_document_that_is_published_by_hand_is_applied_and_answered(box: LinkedBox, mosquitto: Mosquitto) -> None:
    with Watcher(mosquitto.port) as watcher:
        publish(mosquitto.port, document({"window_seconds": 5}, 1))
        box.turn_until(lambda: any(report.config_revision == 1 for report in reports(watcher)))
        publish(mosquitto.port, document({"window_seconds": 0}, 2))
        box.turn_until(lambda: any(report.refused for report in reports(watcher)))
        last = reports(watcher)[-1]
    assert box.applied[-1].window_seconds == 5
    assert (last.config_revision, last.state) == (1, "ok")
    assert last.refused is not None
    assert [one.path for one in last.refused.errors] == ["config.window_seconds"]


def test_bytes_of_any_kind_leave_the_link_working(box: LinkedBox, mosquitto: Mosquitto) -> None:
    with Watcher(mosquitto.port) as watcher:
        for payload in (b"\xff\xfe", b"{", b"[" * 60_000, b"null"):
            publish(mosquitto.port, payload)
        box.turn_until(lambda: any(report.refused for report in reports(watcher)))
        publish(mosquitto.port, document({"window_seconds": 5}, 1))
        box.turn_until(lambda: any(report.config_revision == 1 for report in reports(watcher)))


def test_a_box_moves_to_another_broker(box: LinkedBox, mosquitto: Mosquitto, tmp_path: Path) -> None:
    other = Mosquitto(tmp_path).start()
    try:
        with Watcher(other.port) as watcher:
            publish(mosquitto.port, document({"broker": {"port": other.port}}, 1))
            box.turn_until(lambda: any(report.state == "ok" for report in reports(watcher)))
        assert box.remote.config.broker.port == other.port
    finally:
        box.close()
        other.stop()


def test_a_box_that_cannot_reach_its_new_broker_comes_back(box: LinkedBox, mosquitto: Mosquitto) -> None:
    with Watcher(mosquitto.port) as watcher:
        publish(mosquitto.port, document({"broker": {"port": free_port()}}, 1))
        box.turn_until(lambda: any(r.refused and r.refused.code == "reverted" for r in reports(watcher)))
        assert reports(watcher)[-1].config_revision is None
    assert box.remote.config == box.config
