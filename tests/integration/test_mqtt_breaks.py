"""Connections that break anywhere, and brokers that send what no broker should."""

from __future__ import annotations

import contextlib
import io
import json
import random
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.backoff import Backoff
from agent.mqtt import LinkSettings, MqttLink
from agent.mqtt.bell import Bell
from agent.mqtt.ports import Attempt, Ended, Event, Limits, Outgoing, Received, SubscriptionRefused, Unreadable, Version
from agent.mqtt.problems import ConnectError
from agent.mqtt.session import LARGEST_MESSAGE, PahoSession, open_session
from agent.store import Store
from contracts.config import BrokerConfig
from contracts.messages import Hello
from tests.fakes.reports import draft
from tests.integration.brokers import PATIENCE

ACCEPTED = b"\x20\x03\x00\x00\x00"
ACCEPTED_OLD = b"\x20\x02\x00\x00"


class RecordingServer:
    """Takes reports as a broker does, notes each before it answers, and hangs up wherever it likes.

    Args:
        dice: says where; a connection ends after some packets, before or after the answer to the last.
    """

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(PATIENCE)
        self.port = int(self._server.getsockname()[1])
        self.payloads: list[bytes] = []
        self.connections = 0

    def serve_until(self, is_done: Callable[[], bool]) -> None:
        """Serve one connection after the other."""
        while not is_done():
            with self._server.accept()[0] as connection, connection.makefile("rb") as stream:
                self.connections += 1
                connection.settimeout(PATIENCE)
                self._serve(connection, stream, self._dice.randrange(2, 60), is_done)
        self._server.close()

    def _serve(
        self, connection: socket.socket, stream: io.BufferedReader, packets: int, is_done: Callable[[], bool]
    ) -> None:
        for _ in range(packets):
            command, body = _read_packet(stream)
            answer = self._answer(command, body)
            if answer is None:
                return
            connection.sendall(answer)
            if is_done():
                return
        if self._dice.random() < 0.5:  # in the middle of a packet
            stream.read(self._dice.randrange(1, 50))

    def _answer(self, command: int, body: bytes) -> bytes | None:
        if command >> 4 == 1:
            return b"\x20\x03\x00\x00\x00"
        if command >> 4 == 8:
            return b"\x90\x04" + body[:2] + b"\x00\x01"
        if command >> 4 == 3:
            start = 2 + int.from_bytes(body[:2], "big")
            self.payloads.append(body[start + 3 :])
            return b"\x40\x02" + body[start : start + 2]
        return None


def _read_packet(stream: io.BufferedReader) -> tuple[int, bytes]:
    command, length, shift = stream.read(1), 0, 0
    while True:
        byte = stream.read(1)[0]
        length += (byte & 127) << shift
        shift += 7
        if byte < 128:
            return command[0], stream.read(length)


def make_link(port: int, store: Store) -> MqttLink:
    return MqttLink(
        BrokerConfig(host="127.0.0.1", port=port),
        "box-1",
        "boot-1",
        store,
        hello=lambda: Hello(device="box-1", boot_id="boot-1", version="1"),
        backoff=Backoff(first=0.01, most=0.05),
        settings=LinkSettings(connect=2.0, flush=0.1, farewell=0.1),
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path)
    yield opened
    opened.close()


@contextlib.contextmanager
def connected(answer: bytes, version: Version = "5") -> Iterator[PahoSession]:
    """A session with a server that sends these bytes and hangs up."""
    bell = Bell()
    with socket.create_server(("127.0.0.1", 0)) as server:
        config = BrokerConfig(host="127.0.0.1", port=server.getsockname()[1])

        def serve() -> None:
            with server.accept()[0] as connection, contextlib.suppress(OSError):
                connection.recv(4096)
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            session = open_session(Attempt(config, "box-1", version, None, bell, subscriptions=("desired",)))
            try:
                yield session
            finally:
                session.close(politely=False)
        finally:
            thread.join(PATIENCE)
            bell.close()


def all_events(session: PahoSession) -> list[Event]:
    events: list[Event] = []
    while not any(isinstance(event, Ended) for event in events):
        events += session.wait(PATIENCE)
    return events


def publish(topic: bytes, payload: bytes, properties: bytes = b"\x00") -> bytes:
    body = len(topic).to_bytes(2, "big") + topic + properties + payload
    length, rest = b"", len(body)
    while True:
        rest, byte = divmod(rest, 128)
        length += bytes([byte | (128 if rest else 0)])
        if not rest:
            return b"\x30" + length + body


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_lost_wherever_the_connection_breaks(store: Store, seed: int) -> None:
    server = RecordingServer(random.Random(seed))
    store.commit([draft()] * 400, {})

    def reports() -> list[int]:
        return [seq for payload in list(server.payloads) if (seq := json.loads(payload).get("seq"))]

    link = make_link(server.port, store)
    link.start()
    server.serve_until(lambda: 400 in reports())
    link.stop()
    assert server.connections > 5
    assert list(dict.fromkeys(reports())) == list(range(1, 401))


@pytest.mark.parametrize("answer", [b"\x20\x02\x00\x01", b"\x20\x03\x00\x84\x00", b""])
def test_every_way_to_refuse_a_version_leads_to_the_old_one(store: Store, answer: bytes) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(60)
    link = make_link(server.getsockname()[1], store)
    link.start()
    levels: list[int] = []
    while 4 not in levels:
        with server.accept()[0] as connection:
            connection.settimeout(60)
            levels.append(connection.recv(4096).partition(b"MQTT")[2][0])
            connection.sendall(answer if levels[-1] == 5 else ACCEPTED_OLD)
    server.close()
    link.stop()
    assert levels == ([5, 5, 4] if not answer else [5, 4])


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_whatever_bytes_come_the_session_ends_in_order(version: Version) -> None:
    dice = random.Random(version)
    for _ in range(60):
        packets = b"".join(
            bytes([dice.randrange(256)]) + bytes([len(body)]) + body
            for body in (dice.randbytes(dice.randrange(100)) for _ in range(dice.randrange(5)))
        )
        accepted = ACCEPTED if version == "5" else ACCEPTED_OLD
        with connected(accepted + packets + dice.randbytes(dice.randrange(20)), version) as session:
            assert isinstance(all_events(session)[-1], Ended)
            session.publish(Outgoing("edgetally/v1/box-1/health", b"{}", 1, retain=False))
            assert isinstance(session.wait(0)[-1], Ended)


def test_what_the_broker_takes_is_known() -> None:
    with connected(b"\x20\x0b\x00\x00\x08\x21\x00\x05\x27\x00\x00\x20\x00") as session:
        assert session.limits == Limits("5", receive_maximum=5, packet_size=8192)


@pytest.mark.parametrize(("prop", "lacks"), [(b"\x24\x00", "no QoS 1"), (b"\x25\x00", "no retain")])
def test_a_broker_that_cannot_do_what_counting_needs_is_refused(prop: bytes, lacks: str) -> None:
    answer = b"\x20\x05\x00\x00\x02" + prop
    with pytest.raises(ConnectError, match=f"it offers {lacks}"), connected(answer):
        pass


def test_a_topic_that_is_no_text_is_refused_and_the_next_message_still_comes() -> None:
    with connected(ACCEPTED + publish(b"\xff\xfe", b"x") + publish(b"desired", b"\xff")) as session:
        events = all_events(session)
    assert events[:2] == [
        Unreadable("not_text", "its topic is not UTF-8"),
        Received("desired", b"\xff", retained=False),
    ]


def test_a_message_that_is_too_large_is_refused() -> None:
    answer = ACCEPTED_OLD + publish(b"desired", bytes(LARGEST_MESSAGE + 1), properties=b"")
    with connected(answer, "3.1.1") as session:
        events = all_events(session)
    assert isinstance(events[0], Unreadable)
    assert "1048576 at most" in events[0].why


def test_a_subscription_that_is_refused_is_told() -> None:
    with connected(ACCEPTED + b"\x90\x04\x00\x01\x00\x87") as session:
        refused = [event for event in all_events(session) if isinstance(event, SubscriptionRefused)]
    assert [str(event.refusal) for event in refused] == ["Not authorized (reason code 135)"]
