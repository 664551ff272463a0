"""Trust that is withdrawn, an hour without a broker, and rubbish on everything we listen to: nothing is lost."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from agent.backoff import Backoff
from agent.mqtt import ForeignTopic, LinkSettings, MqttLink, Received
from agent.store import LineDefinition, Store
from contracts.config import BrokerConfig, TlsConfig
from contracts.messages import Crossings, Hello, Window
from tests.fakes.reports import draft
from tests.integration.brokers import Authority, Mosquitto, Watcher, free_port, mosquitto, wait_until
from tools.billing.bill import make_bill
from tools.billing.intake import Intake

__all__ = ["mosquitto"]

SECRET = "correct-horse-battery-staple"
STATUS = "homeassistant/status"
Start = Callable[[BrokerConfig], MqttLink]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path / "state")
    yield opened
    opened.close()


@pytest.fixture
def start(store: Store) -> Iterator[Start]:
    with contextlib.ExitStack() as stack:

        def begin(config: BrokerConfig) -> MqttLink:
            link = make_link(config, store)
            stack.callback(link.stop)
            link.start()
            return link

        yield begin


def make_link(config: BrokerConfig, store: Store) -> MqttLink:
    return MqttLink(
        config,
        "box-1",
        "boot-1",
        store,
        hello=lambda: Hello(device="box-1", boot_id="boot-1", version="1"),
        backoff=Backoff(first=0.05, most=0.2),
        settings=LinkSettings(connect=2.0),
    )


@contextlib.contextmanager
def tls_broker(folder: Path, authority: Authority, *lines: str, plain: int) -> Iterator[Mosquitto]:
    """A broker that asks for certificates on one port and for nothing on another."""
    certificate, key = authority.issue("server")
    listener = [f"cafile {authority.certificate}", f"certfile {certificate}", f"keyfile {key}"]
    rules = ["allow_anonymous true", f"listener {plain} 127.0.0.1"]
    broker = Mosquitto(folder, rules, [*listener, "require_certificate true", *lines])
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def with_certificate(broker: Mosquitto, authority: Authority, certificate: Path, key: Path) -> BrokerConfig:
    tls = TlsConfig(ca=str(authority.certificate), certificate=str(certificate), key=str(key))
    return BrokerConfig(host="localhost", port=broker.port, tls=tls)


def seqs(watcher: Watcher) -> list[int]:
    return [json.loads(payload)["seq"] for payload in watcher.payloads("/counts")]


def test_with_a_certificate_that_expired_reports_wait_until_it_is_renewed_without_a_restart(
    tmp_path: Path, store: Store, start: Start
) -> None:
    authority, plain = Authority(tmp_path), free_port()
    old, fresh = authority.issue("old", subject="box-1", days=-1), authority.issue("fresh", subject="box-1")
    ours = tmp_path / "box.pem", tmp_path / "box.key"
    for source, target in zip(old, ours, strict=True):
        shutil.copy(source, target)
    store.commit([draft()] * 3, {})
    with tls_broker(tmp_path, authority, plain=plain) as broker, Watcher(plain) as watcher:
        link = start(with_certificate(broker, authority, *ours))
        wait_until(lambda: "this client's certificate has expired; renew" in (link.health().problem or ""))
        assert seqs(watcher) == []
        for source, target in zip(fresh, ours, strict=True):
            shutil.copy(source, target)
        watcher.wait_for(lambda: seqs(watcher) == [1, 2, 3])
        link.stop()
    assert store.status().waiting == 0


def test_a_revoked_certificate_is_said_and_nothing_is_delivered(tmp_path: Path, store: Store, start: Start) -> None:
    authority, plain = Authority(tmp_path), free_port()
    certificate, key = authority.issue("box", subject="box-1")
    revoked = authority.revoke(certificate)
    store.commit([draft()], {})
    with tls_broker(tmp_path, authority, f"crlfile {revoked}", plain=plain) as broker, Watcher(plain) as watcher:
        link = start(with_certificate(broker, authority, certificate, key))
        wait_until(lambda: "this client's certificate was revoked; get a new" in (link.health().problem or ""))
        assert seqs(watcher) == []
        link.stop()
        other = make_link(with_certificate(broker, authority, *authority.issue("other", subject="box-1")), store)
        other.start()
        watcher.wait_for(lambda: seqs(watcher) == [1])
        other.stop()


def test_a_password_that_is_withdrawn_and_given_back_costs_no_report(
    tmp_path: Path, store: Store, start: Start
) -> None:
    passwords = tmp_path / "passwords"

    def let_in(name: str) -> None:
        passwords.write_text("")
        subprocess.run(["mosquitto_passwd", "-b", str(passwords), name, SECRET], check=True, capture_output=True)

    let_in("box")
    broker = Mosquitto(tmp_path, ["allow_anonymous false", f"password_file {passwords}"]).start()
    with contextlib.ExitStack() as stack:
        stack.callback(broker.stop)
        link = start(BrokerConfig(host="127.0.0.1", port=broker.port, username="box", password=SecretStr(SECRET)))
        store.commit([draft()], {})
        link.wake()
        wait_until(lambda: store.status().waiting == 0)
        let_in("somebody")
        broker.read_again()
        wait_until(lambda: "Not authorized (reason code 135)" in (link.health().problem or ""))
        store.commit([draft()] * 2, {})
        link.wake()
        assert store.status().waiting == 2
        let_in("box")
        broker.read_again()
        wait_until(lambda: store.status().waiting == 0)
        link.stop()
        assert SECRET not in (link.health().problem or "")
    published = [line for line in broker.log if "Received PUBLISH from box-1" in line and "/counts" in line]
    assert len(published) == 3


def test_after_an_hour_without_a_broker_the_newest_arrive_late_and_the_bill_knows_what_is_missing(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    now = time.monotonic() - 3600.0  # of the store's clock: the hour is in the past
    store = Store.open(tmp_path / "state", max_reports=100, monotonic=lambda: now)
    counter = store.counters([LineDefinition("gate", "mid", "digest")])["gate", "mid"]
    for window in range(360):
        now += 10.0
        total: dict[str, Any] = {"car": {"in": window + 1, "out": 0}}
        crossed = Crossings(
            counter_id=counter.counter_id, since="2026-01-01T00:00:00Z", in_=1, out=0, total_in=window + 1, total_out=0,
            by_label={"car": {"in": 1, "out": 0}}, total_by_label=total,
        )  # fmt: skip
        start, end = (f"2026-01-01T{m // 360:02}:{m // 6 % 60:02}:{m % 6}0Z" for m in (window, window + 1))
        one = draft()
        report = {"lines": {"mid": crossed}, "window": Window(start=start, end=end)}
        store.commit([type(one)(one.topic, one.message.model_copy(update=report))], {counter.counter_id: total})
    assert (store.status().waiting, store.status().dropped) == (100, 260)
    with contextlib.closing(store), Watcher(mosquitto.port) as watcher:
        link = make_link(BrokerConfig(host="127.0.0.1", port=mosquitto.port), store)
        link.start()
        watcher.wait_for(lambda: len(seqs(watcher)) == 100)
        link.stop()
    assert seqs(watcher) == list(range(261, 361))
    late = [json.loads(payload)["late"] for payload in watcher.payloads("/counts")]
    assert late == [True] * 97 + [False] * 3  # the last 30 s are not late
    intake = Intake()
    for payload in watcher.payloads("/counts"):
        intake.take(payload)
    bill = make_bill(intake, start=1_767_225_600.0)  # 2026-01-01
    counted = [(item.counted, item.recovered) for item in bill.items if item.direction == "in"]
    assert (counted, bill.problems) == ([(100, 260)], [])
    assert bill.cameras[0].missing == [("2026-01-01T00:00:00Z", "2026-01-01T00:43:20Z")]


rubbish = st.binary(max_size=200) | st.sampled_from([b"online", b"offline", b"\xff\xfe", b"[" * 5000, b"0" * 70_000])


class Obedient:
    """A link that listens to something of its own, and a watcher of the same broker."""

    def __init__(self, link: MqttLink, watcher: Watcher) -> None:
        self.link = link
        self.watcher = watcher
        self.heard: list[bytes] = []
        self.sent = 0
        link.listen(STATUS, self._hear)

    @property
    def refused(self) -> int:
        return sum(self.link.health().messages_refused.values())

    def _hear(self, message: Received) -> None:
        self.heard.append(message.payload)
        message.payload.decode()  # fails on some, as a careless receiver would


@pytest.fixture
def obedient(mosquitto: Mosquitto, start: Start) -> Iterator[Obedient]:
    with Watcher(mosquitto.port) as watcher:
        link = start(BrokerConfig(host="127.0.0.1", port=mosquitto.port))
        listening = Obedient(link, watcher)
        mosquitto.wait_for_log(f"box-1 1 {STATUS}")
        yield listening


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.booleans(), rubbish, st.booleans()), max_size=4))
def test_whatever_is_published_on_what_we_listen_to_the_link_goes_on(
    obedient: Obedient, messages: list[tuple[bool, bytes, bool]]
) -> None:
    heard, refused = len(obedient.heard), obedient.refused
    for on_desired, payload, retain in messages:
        topic = "edgetally/v1/box-1/desired" if on_desired else STATUS
        obedient.watcher.publish(topic, payload, retain=retain)
    obedient.watcher.publish(STATUS, b"the end")
    wait_until(lambda: obedient.heard[-1:] == [b"the end"] and len(obedient.heard) > heard)
    asked = [payload for on_desired, payload, _ in messages if payload and not on_desired]
    assert obedient.heard[heard:] == [*asked, b"the end"]
    unread = [payload for payload in asked if not _is_text(payload)]
    not_obeyed = [payload for on_desired, payload, _ in messages if on_desired and payload]
    assert obedient.refused - refused == len(unread) + len(not_obeyed)
    obedient.sent += 1
    obedient.link.publish_foreign(ForeignTopic("homeassistant/still/alive"), str(obedient.sent).encode())
    obedient.watcher.wait_for(lambda: obedient.watcher.payloads("/alive")[-1:] == [str(obedient.sent).encode()])
    assert obedient.link.connected
    assert len(obedient.watcher.payloads("/hello")) == 1, "it was never disconnected"


def _is_text(payload: bytes) -> bool:
    with contextlib.suppress(UnicodeDecodeError):
        payload.decode()
        return True
    return False
