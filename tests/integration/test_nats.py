"""A broker that knows MQTT 3.1.1 alone, and is no broker by birth: NATS. docs/brokers.md says what degrades."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agent.backoff import Backoff
from agent.mqtt import LinkSettings, MqttLink
from agent.store import Store
from contracts.config import BrokerConfig
from contracts.messages import Hello
from contracts.topics import Channel, Topic
from fleet.store.database import Database
from fleet.store.devices import DeviceStore
from tests.e2e.agents import Agent, run_cli
from tests.fakes.fleet import hello
from tests.fakes.reports import draft
from tests.integration.brokers import Watcher, wait_until
from tests.integration.nats import Nats
from tests.integration.squares import camera, write_bundle, write_pictures
from tests.integration.test_broker_rules import topics
from tests.integration.test_fleet_inventory import Serving


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[Nats]:
    broker = Nats(tmp_path).start()
    yield broker
    broker.stop()


def settings(folder: Path, nats: Nats) -> dict[str, Any]:
    return {
        "bundle": str(write_bundle(folder / "squares.bundle")),
        "broker": {"host": "127.0.0.1", "port": nats.port},
        "home_assistant": {},
        "labels": {"site": "taipei"},
        "camera": [camera(write_pictures(folder / "road"))],
    }


def test_a_box_is_known_takes_what_the_controller_wants_and_is_offline_once_it_is_killed(
    tmp_path: Path, nats: Nats
) -> None:
    serving = Serving(tmp_path, nats.port)
    serving.start()
    database = Database(str(serving.database))
    store = DeviceStore(database)
    with Agent(tmp_path, settings(tmp_path, nats), until_end=False) as agent:
        wait_until(lambda: (found := store.get("box-1")) and found.device.models and found.device.labels)
        layer = tmp_path / "fleet.toml"
        layer.write_text("window_seconds = 2\n")
        done = run_cli("fleet.cli", "config", "set", "fleet", layer, "-d", serving.database, "--yes")
        assert done.returncode == 0, done.stderr
        wait_until(lambda: (found := store.get("box-1")) and found.device.config_revision == 1)
        found = store.get("box-1")
        assert found is not None
        assert (found.device.state, found.device.online, found.device.refused) == ("ok", True, None)
        agent.kill()
        wait_until(lambda: (found := store.get("box-1")) and found.device.online is False)
        with Watcher(nats.port, "edgetally/v1/+/desired") as later:
            later.wait_for(lambda: later.messages)
            assert later.messages[0].retained
    assert serving.end(signal.SIGTERM) == 0
    database.close()
    assert "MQTT 3.1.1" in serving.log.read_text()


def test_what_boxes_say_while_the_controller_is_killed_is_known_once_it_is_back(tmp_path: Path, nats: Nats) -> None:
    serving = Serving(tmp_path, nats.port)
    serving.start()
    store = DeviceStore(Database(str(serving.database)))
    names = [f"box-{number}" for number in range(1_000)]
    with Watcher(nats.port, topic="nothing") as watcher:
        publisher = threading.Thread(target=watcher.publish_all, args=([hello(name) for name in names],))
        publisher.start()
        wait_until(partial(_knows, store, 1))
        serving.end(signal.SIGKILL)
        serving.start()  # it waits for the lease of the one that was killed
        wait_until(partial(_knows, store, 300))
        serving.end(signal.SIGTERM)
        publisher.join()
        serving.start()
    wait_until(lambda: store.count() == len(names))
    assert serving.end(signal.SIGTERM) == 0


def _knows(store: DeviceStore, least: int) -> bool:
    return store.count() >= least


def test_nothing_is_lost_when_it_is_killed_and_what_is_retained_is_there_again(tmp_path: Path, nats: Nats) -> None:
    with contextlib.ExitStack() as stack:
        store = Store.open(tmp_path / "state")
        stack.callback(store.close)
        link = MqttLink(
            BrokerConfig(host="127.0.0.1", port=nats.port),
            "box-1",
            "boot-1",
            store,
            hello=lambda: Hello(device="box-1", boot_id="boot-1", version="1"),
            backoff=Backoff(first=0.05, most=0.2),
            settings=LinkSettings(connect=2.0),
        )
        stack.callback(link.stop)
        link.start()
        link.state(Topic("box-1", Channel.FACTS), Hello(device="box-1", boot_id="boot-1", version="1"))
        wait_until(lambda: link.connected)
        for _ in range(3):
            store.commit([draft()] * 20, {})
            link.wake()
            nats.kill()
            nats.start()
            wait_until(lambda: store.status().waiting == 0)
        assert link.health().protocol == "3.1.1"
        with Watcher(nats.port) as watcher:
            watcher.wait_for(lambda: watcher.payloads("box-1/status") and watcher.payloads("box-1/facts"))
            nats.kill()
            nats.start()
        with Watcher(nats.port, "edgetally/v1/+/facts") as watcher:
            watcher.wait_for(lambda: [message for message in watcher.messages if message.retained])


def test_every_topic_of_a_box_passes_and_none_has_what_it_closes_connections_for(nats: Nats) -> None:
    with Watcher(nats.port, "edgetally/v1/+/#") as watcher:
        for topic in topics("box_1-a"):
            assert not {".", " "} & set(topic)
            watcher.publish(topic, b"{}", retain=True)
        watcher.wait_for(lambda: len(watcher.messages) == len(topics("box_1-a")))
        assert not watcher.is_lost
        assert [message.topic for message in watcher.messages] == topics("box_1-a")


def test_a_shared_subscription_is_taken_and_hears_nothing(nats: Nats) -> None:
    """Why controllers share the work over the database instead."""
    with Watcher(nats.port, "$share/controllers/edgetally/v1/+/hello") as shared, Watcher(nats.port) as watcher:
        watcher.publish(*hello())
        watcher.publish("$share/controllers/edgetally/v1/box-1/hello", b"end")  # it is a topic like any other
        shared.wait_for(lambda: shared.messages)
        assert [message.payload for message in shared.messages] == [b"end"]
