"""The link's thread: it connects, greets, empties the outbox, comes back and says goodbye."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.backoff import Backoff
from agent.mqtt import LinkSettings, MqttLink, Received
from agent.mqtt.ports import Outgoing, Refusal, SubscriptionRefused, Unreadable
from agent.mqtt.problems import ConnectError
from agent.mqtt.pump import PumpSettings
from agent.store import Store
from contracts.config import BrokerConfig
from contracts.errors import StorageError
from contracts.messages import CameraState, Hello
from contracts.topics import Channel, Topic
from tests.fakes.broker import FakeBroker
from tests.fakes.reports import draft

GATE = Topic("box-1", Channel.CAMERA_STATE, "gate")
CONFIG = BrokerConfig(host="broker.example")


def say_hello() -> Hello:
    return Hello(device="box-1", boot_id="boot-1", version="1")


class CountedBackoff(Backoff):
    """Waits hardly at all, and notes how often and when it began anew."""

    def __init__(self) -> None:
        super().__init__(first=0.001, most=0.001)
        self.calls: list[str] = []

    def next(self) -> float:
        self.calls.append("next")
        return super().next()

    def reset(self) -> None:
        self.calls.append("reset")
        super().reset()


def state(count: float) -> CameraState:
    return CameraState(
        device="box-1", camera="gate", at="2026-01-01T00:00:00Z", available=True, quality="ok", frame=1, count=count
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


Start = Callable[..., MqttLink]


@pytest.fixture
def start(store: Store, broker: FakeBroker) -> Iterator[Start]:
    links: list[MqttLink] = []

    def begin(
        settings: LinkSettings | None = None,
        backoff: Backoff | None = None,
        receiver: Callable[[Received], None] | None = None,
    ) -> MqttLink:
        link = MqttLink(
            CONFIG,
            "box-1",
            "boot-1",
            store,
            hello=say_hello,
            backoff=backoff or CountedBackoff(),
            receiver=receiver,
            opener=broker,
            settings=settings or LinkSettings(flush=0.5, farewell=0.5),
        )
        links.append(link)
        link.start()
        return link

    yield begin
    for link in links:
        link.stop()


def test_a_connection_begins_with_birth_and_hello_and_has_a_will(start: Start, broker: FakeBroker) -> None:
    start()
    session = broker.session()
    broker.wait_for(lambda: len(session.published) >= 2)
    birth, hello = session.messages()[:2]
    assert (birth.topic, birth.qos, birth.retain) == ("edgetally/v1/box-1/status", 1, True)
    assert json.loads(birth.payload)["status"] == "online"
    assert (hello.topic, hello.qos, hello.retain) == ("edgetally/v1/box-1/hello", 1, False)
    will = session.attempt.will
    assert will is not None
    assert (will.topic, will.qos, will.retain) == (birth.topic, 1, True)
    assert json.loads(will.payload) == {
        "status": "offline",
        "boot_id": "boot-1",
        "reason": "connection lost",
        "at": None,
    }
    assert session.attempt.client_id == "box-1"
    assert session.attempt.subscriptions == ("edgetally/v1/box-1/desired",)


def test_reports_are_sent_when_the_counting_thread_says_so(start: Start, broker: FakeBroker, store: Store) -> None:
    link = start()
    session = broker.session()
    broker.wait_for(lambda: None in session.waits)
    store.commit([draft(), draft()], {})
    link.wake()
    broker.wait_for(lambda: len(session.messages("/counts")) == 2)
    broker.wait_for(lambda: store.status().waiting == 0)


def test_an_idle_link_sleeps_until_something_happens(start: Start, broker: FakeBroker) -> None:
    start()
    session = broker.session()
    broker.wait_for(lambda: None in session.waits)
    assert session.waits[-1] is None


def test_states_and_reports_are_sent_again_after_the_connection_broke(
    start: Start, broker: FakeBroker, store: Store
) -> None:
    broker.answers = False
    link = start()
    link.state(GATE, state(1))
    store.commit([draft()], {})
    link.wake()
    first = broker.session()
    broker.wait_for(lambda: first.messages("/counts") and first.messages("/state"))
    broker.answers = True
    first.break_off()
    second = broker.session(1)
    broker.wait_for(lambda: second.messages("/counts") and second.messages("/state"))
    assert second.messages("/state") == first.messages("/state")
    assert first.closed is False


def test_without_a_connection_only_the_newest_state_is_kept(start: Start, broker: FakeBroker) -> None:
    broker.refusals = [ConnectError("broker.example:1883", "nothing listens there", "start it")] * 3
    link = start()
    for count in range(100):
        link.state(GATE, state(count))
    session = broker.session()
    broker.wait_for(lambda: session.messages("/state"))
    assert json.loads(session.messages("/state")[-1].payload)["count"] == 99
    assert len(session.messages("/state")) <= 2


def test_the_same_trouble_is_logged_once(start: Start, broker: FakeBroker, caplog: pytest.LogCaptureFixture) -> None:
    broker.refusals = [ConnectError("broker.example:1883", "nothing listens there", "start it")] * 20
    with caplog.at_level(logging.INFO):
        start()
        broker.session()
    assert caplog.text.count("nothing listens there") == 1


def test_its_health_says_what_is_wrong(start: Start, broker: FakeBroker) -> None:
    broker.refusals = [ConnectError("broker.example:1883", "nothing listens there", "start it")] * 1_000_000
    link = start()
    broker.wait_for(lambda: len(broker.attempts) >= 3)
    health = link.health()
    assert (health.connected, health.protocol) == (False, None)
    assert health.problem == "broker broker.example:1883: nothing listens there; start it"
    broker.refusals = []
    broker.session()
    broker.wait_for(lambda: link.connected)
    assert (link.health().problem, link.health().protocol) == (None, "5")


def test_a_stuck_broker_is_left_without_ceremony(start: Start, broker: FakeBroker) -> None:
    broker.answers = False
    start(LinkSettings(pump=PumpSettings(answer_within=0.01), flush=0.1, farewell=0.1))
    broker.session(1)
    assert broker.sessions[0].closed is False


def test_a_connection_that_did_not_last_does_not_shorten_the_delays(start: Start, broker: FakeBroker) -> None:
    backoff = CountedBackoff()
    start(backoff=backoff)
    for number in range(5):
        broker.session(number).break_off()
    broker.session(5)
    assert backoff.calls == ["next"] * 5


def test_a_name_that_two_devices_have_is_suspected(
    start: Start, broker: FakeBroker, caplog: pytest.LogCaptureFixture
) -> None:
    start()
    hints = []
    for number in range(3):
        broker.session(number).break_off("the connection was lost")
        broker.session(number + 1)
        hints.append("does another device have the same name?" in caplog.text)
    assert hints == [False, False, True]


def test_one_that_lasted_does(start: Start, broker: FakeBroker) -> None:
    backoff = CountedBackoff()
    start(LinkSettings(stable=0.0, flush=0.5, farewell=0.5), backoff)
    broker.session().break_off()
    broker.session(1)
    assert backoff.calls == ["reset", "next"]


def test_who_fights_for_the_name_gets_ever_slower(start: Start, broker: FakeBroker) -> None:
    backoff = CountedBackoff()
    start(LinkSettings(stable=0.0, contested=600, flush=0.5, farewell=0.5), backoff)
    for number in range(3):
        broker.session(number).break_off(taken_over=True)
    broker.session(3)
    assert backoff.calls == ["next"] * 3


def test_stopping_empties_the_outbox_and_says_goodbye(start: Start, broker: FakeBroker, store: Store) -> None:
    link = start()
    session = broker.session()
    broker.wait_for(lambda: None in session.waits)
    store.commit([draft()] * 100, {})
    link.stop()
    assert len(session.messages("/counts")) == 100
    last = session.messages()[-1]
    assert (last.topic, last.retain) == ("edgetally/v1/box-1/status", True)
    assert {**json.loads(last.payload), "at": None} == {
        "status": "offline",
        "boot_id": "boot-1",
        "reason": "stopped",
        "at": None,
    }
    assert session.closed is True
    assert store.status().waiting == 0
    link.stop()


def test_stopping_does_not_wait_for_a_broker_that_does_not_answer(
    start: Start, broker: FakeBroker, store: Store
) -> None:
    broker.answers = False
    store.commit([draft()], {})
    link = start(LinkSettings(flush=0.05, farewell=0.05))
    broker.wait_for(lambda: broker.sessions and broker.sessions[0].messages("/counts"))
    link.stop()
    assert not link._thread.is_alive()
    assert store.status().waiting == 1


def test_stopping_without_a_connection_ends_at_once(start: Start, broker: FakeBroker) -> None:
    broker.refusals = [ConnectError("broker.example:1883", "nothing listens there", "start it")] * 1_000_000
    link = start(backoff=Backoff(first=3600, most=3600))
    broker.wait_for(lambda: broker.attempts)
    link.stop()
    assert not link._thread.is_alive()


def test_a_link_that_never_started_can_be_stopped(store: Store, broker: FakeBroker) -> None:
    MqttLink(CONFIG, "box-1", "boot-1", store, hello=say_hello, opener=broker).stop()


def test_a_refused_report_is_a_problem_of_an_open_connection(start: Start, broker: FakeBroker, store: Store) -> None:
    def refuse(message: Outgoing) -> Refusal | None:
        return Refusal(135, "Not authorized") if message.topic.endswith("/counts") else None

    broker.refuse = refuse
    store.commit([draft()], {})
    link = start()
    session = broker.session()
    broker.wait_for(lambda: session.messages("/counts") and link.health().problem)
    assert link.connected
    assert "camera/gate/counts: Not authorized (reason code 135)" in (link.health().problem or "")
    assert store.status().waiting == 1


def test_ten_thousand_messages_of_any_kind_do_not_stop_the_link(start: Start, broker: FakeBroker, store: Store) -> None:
    dice = random.Random(0)
    link = start(receiver=lambda message: message.payload.decode() and None)
    session = broker.session()
    for _ in range(100):
        session.happen(
            *(
                Received(
                    dice.choice(["edgetally/v1/box-1/desired", "", "\x00", "a/b"]), dice.randbytes(20), retained=True
                )
                for _ in range(99)
            ),
            Unreadable("not_text", "its topic is not UTF-8"),
        )
    session.happen(SubscriptionRefused(Refusal(135, "Not authorized")))
    store.commit([draft()], {})
    link.wake()
    broker.wait_for(lambda: session.messages("/counts") and sum(link.health().messages_refused.values()) > 9000)
    refused = link.health().messages_refused
    assert refused["not_text"] == 100
    assert refused["failed"] > 8900, "a receiver that fails is no reason to be silent about it"
    assert link.connected


def test_a_store_that_cannot_be_read_is_a_problem_not_an_end(
    start: Start, broker: FakeBroker, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = store.waiting
    failures = iter([True, True])

    def waiting(after_seq: int, limit: int) -> object:
        if next(failures, False):
            raise StorageError("edgetally.db", OSError(5, "disk I/O error"))
        return original(after_seq, limit)

    monkeypatch.setattr(store, "waiting", waiting)
    store.commit([draft()], {})
    start()
    session = broker.session(2)
    broker.wait_for(lambda: session.messages("/counts"))
    assert [other.closed for other in broker.sessions[:2]] == [False, False]


def test_a_bug_inside_is_logged_and_survived(
    start: Start, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    original = FakeBroker.__call__
    failures = iter([True])

    def fail_once(self: FakeBroker, attempt: object) -> object:
        if next(failures, False):
            raise ZeroDivisionError
        return original(self, attempt)  # type: ignore[arg-type]

    monkeypatch.setattr(FakeBroker, "__call__", fail_once)
    start()
    broker.session()
    assert "ZeroDivisionError" in caplog.text


def test_an_old_broker_is_asked_by_the_old_version_from_then_on(start: Start, broker: FakeBroker) -> None:
    broker.refusals = [ConnectError("broker.example:1883", "closed", "check", "closed")] * 2
    start()
    broker.session().break_off()
    broker.session(1)
    assert [attempt.version for attempt in broker.attempts] == ["5", "5", "3.1.1", "3.1.1"]


def test_what_is_listened_to_is_asked_for_at_once_and_on_every_later_connection(
    start: Start, broker: FakeBroker
) -> None:
    heard: list[Received] = []
    link = start()
    session = broker.session()
    broker.wait_for(lambda: None in session.waits)
    assert session.subscribed == []
    link.listen("homeassistant/status", heard.append)
    broker.wait_for(lambda: session.subscribed == ["homeassistant/status"])
    message = Received("homeassistant/status", b"online", retained=False)
    session.happen(message)
    session.break_off()
    again = broker.session(1)
    broker.wait_for(lambda: again.subscribed == ["homeassistant/status"])
    assert heard == [message]
    assert not any(link.health().messages_refused.values())


def test_other_settings_end_the_connection_politely_and_begin_one_to_the_new_broker(
    start: Start, broker: FakeBroker
) -> None:
    link = start()
    link.state(GATE, state(1.0))
    first = broker.session()
    broker.wait_for(lambda: len(first.published) >= 3)
    link.reconfigure(BrokerConfig(host="other.example"))
    broker.wait_for(lambda: len(broker.sessions) >= 2)
    goodbye = json.loads(first.messages()[-1].payload)
    assert (goodbye["status"], goodbye["reason"]) == ("offline", "moving to another broker")
    second = broker.sessions[-1]
    assert second.attempt.config.host == "other.example"
    broker.wait_for(lambda: any(message.topic == str(GATE) for message in second.messages()))
    assert link.connected


def test_other_settings_are_taken_at_once_also_while_it_waits_between_two_tries(
    start: Start, broker: FakeBroker
) -> None:
    broker.refusals = [ConnectError("broker.example:1883", "nobody listens", "start it")]
    link = start(backoff=Backoff(first=3600.0, most=3600.0))
    broker.wait_for(lambda: broker.attempts)
    assert not link.connected
    link.reconfigure(BrokerConfig(host="other.example"))
    broker.wait_for(lambda: broker.sessions)
    assert broker.sessions[-1].attempt.config.host == "other.example"
