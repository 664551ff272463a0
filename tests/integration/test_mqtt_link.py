"""The link against real brokers that die, freeze, refuse and are too old."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.backoff import Backoff
from agent.mqtt import LinkSettings, MqttLink
from agent.mqtt.pump import PumpSettings
from agent.store import Store
from contracts.config import BrokerConfig, TlsConfig
from contracts.messages import Hello, Status
from contracts.topics import Channel, Topic
from tests.fakes.reports import draft
from tests.integration.brokers import Authority, Mosquitto, OldBroker, Proxy, Watcher, free_port, mosquitto

__all__ = ["mosquitto"]

ROOT = Path(__file__).resolve().parents[2]
STATUS = "edgetally/v1/box-1/status"
DESIRED = "edgetally/v1/box-1/desired"
GATE = Topic("box-1", Channel.CAMERA_STATE, "gate")
QUICK = LinkSettings(connect=2.0)


def say_hello() -> Hello:
    return Hello(device="box-1", boot_id="boot-1", version="1")


def make_link(config: BrokerConfig, store: Store, settings: LinkSettings = QUICK) -> MqttLink:
    backoff = Backoff(first=0.05, most=0.2)
    return MqttLink(config, "box-1", "boot-1", store, hello=say_hello, backoff=backoff, settings=settings)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path / "state")
    yield opened
    opened.close()


Start = Callable[..., MqttLink]


@pytest.fixture
def stack(store: Store) -> Iterator[contextlib.ExitStack]:
    """What a test began and has to end, also where it fails; before the store is closed."""
    del store
    with contextlib.ExitStack() as entered:
        yield entered


@pytest.fixture
def start(store: Store, stack: contextlib.ExitStack) -> Start:
    def begin(port: int, settings: LinkSettings = QUICK, keepalive: int = 30) -> MqttLink:
        config = BrokerConfig(host="127.0.0.1", port=port, keepalive=keepalive)
        link = make_link(config, store, settings)
        stack.callback(link.stop)
        link.start()
        return link

    return begin


def seqs(watcher: Watcher) -> list[int]:
    return [json.loads(payload)["seq"] for payload in watcher.payloads("/counts")]


def statuses(watcher: Watcher) -> list[tuple[str, str]]:
    found = [Status.model_validate_json(payload) for payload in watcher.payloads("/status")]
    return [(status.status, status.reason) for status in found]


def test_reports_arrive_in_order_and_are_then_forgotten(start: Start, store: Store, mosquitto: Mosquitto) -> None:
    store.commit([draft("an earlier boot")], {})
    store.commit([draft()] * 500, {})
    with Watcher(mosquitto.port) as watcher:
        link = start(mosquitto.port)
        watcher.wait_for(lambda: len(watcher.payloads("/counts")) == 501)
        link.stop()
        watcher.wait_for(lambda: ("offline", "stopped") in statuses(watcher))
    assert seqs(watcher) == list(range(1, 502))
    assert [json.loads(payload)["late"] for payload in watcher.payloads("/counts")[:3]] == [True, False, False]
    assert statuses(watcher) == [("online", "connected"), ("offline", "stopped")]
    assert store.status().waiting == 0
    assert not link.connected


def test_reports_arrive_over_tls(stack: contextlib.ExitStack, store: Store, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server")
    rules = [f"cafile {authority.certificate}", f"certfile {certificate}", f"keyfile {key}"]
    plain = free_port()
    broker = Mosquitto(tmp_path, ["allow_anonymous true", f"listener {plain} 127.0.0.1"], rules)
    stack.callback(broker.stop)
    broker.start()
    tls = TlsConfig(ca=str(authority.certificate))
    link = make_link(BrokerConfig(host="localhost", port=broker.port, tls=tls), store)
    stack.callback(link.stop)
    store.commit([draft()] * 300, {})
    with Watcher(plain) as watcher:
        watcher.publish(DESIRED, b"x" * 500_000, retain=True)  # more than TLS hands over at once
        link.start()
        watcher.wait_for(lambda: seqs(watcher)[-1:] == [300])
        link.stop()
    assert sum(link.health().messages_refused.values()) == 1


def test_who_comes_later_finds_status_and_states(start: Start, mosquitto: Mosquitto) -> None:
    link = start(mosquitto.port)
    link.state(GATE, say_hello())
    with Watcher(mosquitto.port) as first:
        first.wait_for(lambda: first.payloads("/state") and first.payloads("/status"))
    with Watcher(mosquitto.port) as later:
        later.wait_for(lambda: len(later.messages) == 2)
    assert {message.topic for message in later.messages} == {STATUS, str(GATE)}
    assert all(message.retained for message in later.messages)


def test_nothing_is_lost_when_the_broker_is_killed_again_and_again(
    stack: contextlib.ExitStack, start: Start, store: Store, mosquitto: Mosquitto
) -> None:
    proxy = stack.enter_context(contextlib.closing(Proxy(mosquitto.port)))
    received: list[tuple[str, int]] = []
    link = start(proxy.port)
    for _ in range(4):
        proxy.is_open = False
        if not mosquitto.is_running:
            mosquitto.start()
        with Watcher(mosquitto.port, qos=0) as watcher:  # at QoS 1 its own answers would cost it what was not read yet
            proxy.is_open = True  # from here on there is somebody to see what is delivered
            store.commit([draft()] * 300, {})
            link.wake()
            watcher.wait_for(lambda watcher=watcher: len(watcher.payloads("/counts")) >= 20)  # type: ignore[misc]
            mosquitto.kill()
            watcher.wait_for(lambda watcher=watcher: watcher.is_lost)  # type: ignore[misc]
        received += identities(watcher)
    mosquitto.start()
    with Watcher(mosquitto.port) as watcher:
        store.commit([draft()], {})
        link.wake()
        watcher.wait_for(lambda: seqs(watcher)[-1:] == [1201])
    link.stop()
    assert store.status().waiting == 0
    assert list(dict.fromkeys([*received, *identities(watcher)])) == [(store.store_id, seq) for seq in range(1, 1202)]


def identities(watcher: Watcher) -> list[tuple[str, int]]:
    reports = [json.loads(payload) for payload in watcher.payloads("/counts")]
    return [(report["store_id"], report["seq"]) for report in reports]


def test_the_will_is_delivered_when_the_process_is_killed(tmp_path: Path, mosquitto: Mosquitto) -> None:
    with Watcher(mosquitto.port, STATUS) as watcher:
        program = "import sys; from tests.integration import test_mqtt_link as t; t.run_until_killed(*sys.argv[1:])"
        command = [sys.executable, "-c", program, str(mosquitto.port), str(tmp_path / "other")]
        with subprocess.Popen(command, cwd=ROOT) as process:
            watcher.wait_for(lambda: statuses(watcher) == [("online", "connected")])
            process.send_signal(signal.SIGKILL)
        watcher.wait_for(lambda: statuses(watcher)[1:] == [("offline", "connection lost")])


def run_until_killed(port: str, directory: str) -> None:
    """What the killed process does."""
    store = Store.open(Path(directory))
    make_link(BrokerConfig(host="127.0.0.1", port=int(port)), store).start()
    signal.pause()


def test_a_frozen_connection_is_noticed_by_keepalive(
    stack: contextlib.ExitStack, start: Start, mosquitto: Mosquitto
) -> None:
    proxy = stack.enter_context(contextlib.closing(Proxy(mosquitto.port)))
    with Watcher(mosquitto.port) as watcher:
        link = start(proxy.port, keepalive=5)
        watcher.wait_for(lambda: watcher.payloads("/hello"))
        proxy.freeze()
        watcher.wait_for(lambda: len(watcher.payloads("/hello")) == 2)
    assert link.connected
    link.stop()


def test_a_frozen_connection_is_noticed_by_a_missing_answer(
    stack: contextlib.ExitStack, start: Start, store: Store, mosquitto: Mosquitto
) -> None:
    proxy = stack.enter_context(contextlib.closing(Proxy(mosquitto.port)))
    with Watcher(mosquitto.port) as watcher:
        link = start(proxy.port, LinkSettings(pump=PumpSettings(answer_within=0.2), connect=2.0), keepalive=600)
        watcher.wait_for(lambda: watcher.payloads("/hello"))
        proxy.freeze()
        store.commit([draft()], {})
        link.wake()
        watcher.wait_for(lambda: watcher.payloads("/counts"))
    link.stop()


def test_an_old_broker_is_talked_to_by_the_old_version(stack: contextlib.ExitStack, start: Start, store: Store) -> None:
    broker = OldBroker()
    stack.callback(broker.stop)
    broker.start()
    store.commit([draft()] * 5, {})
    with Watcher(broker.port) as watcher:
        link = start(broker.port, LinkSettings(connect=0.5))
        watcher.wait_for(lambda: len(watcher.payloads("/counts")) == 5)
        assert link.health().protocol == "3.1.1"
        link.stop()
        watcher.wait_for(lambda: statuses(watcher)[-1:] == [("offline", "stopped")])


class WatchedBackoff(Backoff):
    """Notes the delays that it gave."""

    def __init__(self, first: float, most: float, factor: float) -> None:
        super().__init__(first, most, factor)
        self.delays: list[float] = []
        self.changed = threading.Condition()

    def next(self) -> float:
        with self.changed:
            self.delays.append(super().next())
            self.changed.notify_all()
            return self.delays[-1]


def test_two_with_one_name_do_not_fight_in_a_tight_loop(
    stack: contextlib.ExitStack, store: Store, mosquitto: Mosquitto
) -> None:
    backoff = WatchedBackoff(first=0.01, most=3600, factor=5)
    config = BrokerConfig(host="127.0.0.1", port=mosquitto.port)
    link = MqttLink(config, "box-1", "boot-1", store, hello=say_hello, backoff=backoff)
    stack.callback(link.stop)
    link.start()
    mosquitto.wait_for_log("as box-1")
    with Watcher(mosquitto.port, client_id="box-1"), backoff.changed:
        assert backoff.changed.wait_for(lambda: backoff.delays[-1:] > [10], 60)
    assert backoff.delays == sorted(backoff.delays), "a connection that was taken over must not shorten the next delay"
    link.stop()


def test_a_broker_that_tells_of_the_other_one_is_quoted(stack: contextlib.ExitStack, store: Store) -> None:
    backoff = WatchedBackoff(first=3600, most=3600, factor=1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        config = BrokerConfig(host="127.0.0.1", port=server.getsockname()[1])
        link = MqttLink(config, "box-1", "boot-1", store, hello=say_hello, backoff=backoff)
        stack.callback(link.stop)
        link.start()
        with server.accept()[0] as connection:
            connection.recv(4096)
            connection.sendall(b"\x20\x03\x00\x00\x00\xe0\x01\x8e")
            with backoff.changed:
                assert backoff.changed.wait_for(lambda: backoff.delays, 60)
    problem = link.health().problem or ""
    link.stop()
    assert "another client connected with the id 'box-1' (reason code 142); give every device a name" in problem


def test_rubbish_that_is_retained_on_desired_does_not_stop_anything(
    start: Start, store: Store, mosquitto: Mosquitto
) -> None:
    with Watcher(mosquitto.port) as watcher:
        watcher.publish(DESIRED, b"\xff\xfe\x00", retain=True)
        link = start(mosquitto.port)
        watcher.wait_for(lambda: watcher.payloads("/hello"))
        watcher.publish(DESIRED, b"\xff" * 2_000_000)  # beyond what is taken
        watcher.publish(DESIRED, b"")
        store.commit([draft()], {})
        link.wake()
        watcher.wait_for(lambda: watcher.payloads("/counts") and any(link.health().messages_refused.values()))
    assert link.connected
    assert statuses(watcher) == [("online", "connected")]
    assert sum(link.health().messages_refused.values()) == 1


def test_what_the_access_rules_forbid_waits_and_is_said(
    stack: contextlib.ExitStack, start: Start, store: Store, tmp_path: Path
) -> None:
    rules = tmp_path / "rules"
    rules.write_text(f"topic readwrite {STATUS}\ntopic read #\n")
    broker = Mosquitto(tmp_path, ["allow_anonymous true", f"acl_file {rules}"])
    stack.callback(broker.stop)
    broker.start()
    store.commit([draft()], {})
    with Watcher(broker.port) as watcher:
        link = start(broker.port)
        watcher.wait_for(lambda: watcher.payloads("/status"))
        broker.wait_for_log("Denied PUBLISH from box-1")
        watcher.wait_for(lambda: _asks(broker, "/counts"))
        link.stop()
    assert "Not authorized (reason code 135)" in (link._pump.refusal or "")
    assert store.status().waiting == 1


def _asks(broker: Mosquitto, text: str) -> bool:
    broker.wait_for_log(text)
    return True
