"""One connection's life on paho: one thread owns it, the callbacks only note what happened."""

from __future__ import annotations

import contextlib
import logging
import re
import selectors
import time
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, LogLevel, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agent.mqtt import problems
from agent.mqtt.ports import (
    Acknowledged,
    Attempt,
    Ended,
    Event,
    Limits,
    Outgoing,
    Received,
    Refusal,
    SubscriptionRefused,
    Unreadable,
)
from agent.mqtt.problems import ConnectError

_log = logging.getLogger(__name__)

LARGEST_MESSAGE = 1_048_576  # bytes; a desired document takes some thousands
_RECEIVE_MAXIMUM = 64  # messages of QoS 1 that the broker may send before we answered
_CLOSE_SECONDS = 1.0
_ERRNO = re.compile(r"^\[Errno \d+\] ")
_FAILURE = 128  # MQTT 5: reason codes from here on are failures
_TURNS_PER_KEEPALIVE = 4


class PahoSession:
    """A connection that the broker accepted; made by `open_session`.

    paho's own thread and its reconnecting are not used: it has no jitter, and an exception in a callback ends the
    thread while ``is_connected()`` stays true. Every method is to be called by one and the same thread; the callbacks
    run inside `wait` and `publish`, so a turn reads a bounded number of packets and what they noted is taken at once.
    """

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._events: list[Event] = []
        self._ended: Ended | None = None
        self._answer: ReasonCode | None = None
        self._detail = ""
        self.limits = Limits(attempt.version)
        self._client = _make_client(attempt)
        self._selector = selectors.DefaultSelector()
        self._selector.register(attempt.bell.fileno(), selectors.EVENT_READ)
        self._watched: tuple[Any, int] | None = None
        self._listen()

    def publish(self, message: Outgoing) -> int:
        """Hand a message to the network; returns the token that its answer will carry."""
        info = self._client.publish(message.topic, message.payload, message.qos, message.retain)
        return info.mid

    def subscribe(self, topic: str) -> None:
        """Ask for what is published on a topic."""
        self._client.subscribe(topic, qos=1)

    def wait(self, seconds: float | None) -> list[Event]:
        """What happened, as soon as something did, the bell rang or the time was over."""
        if not self._events and self._ended is None:
            self._turn(seconds)
        events, self._events = self._events, []
        return [*events, self._ended] if self._ended else events

    def close(self, *, politely: bool) -> None:
        """End it; where not politely, the broker publishes the will. Twice is harmless."""
        if politely and self._client.socket() is not None:
            self._say_goodbye()
        sock = self._client.socket()
        if sock is not None:
            self._unwatch()
            with contextlib.suppress(OSError):
                sock.close()
        self._selector.close()

    def connect(self) -> None:
        """Connect and wait for the broker's answer.

        Raises:
            ConnectError: it cannot be reached, or refuses.
        """
        broker = self._attempt.config.address
        try:
            self._dial()
        except (OSError, ValueError) as error:  # ValueError: the host cannot even be looked up
            raise problems.unreachable(broker, error, self._attempt.patience) from error
        self._await_answer(broker)
        for topic in self._attempt.subscriptions:
            self.subscribe(topic)

    def _dial(self) -> None:
        config = self._attempt.config
        if self._attempt.version == "5":
            self._client.connect(
                config.host, config.port, config.keepalive, clean_start=True, properties=_connect_properties()
            )
        else:
            self._client.connect(config.host, config.port, config.keepalive)

    def _await_answer(self, broker: str) -> None:
        deadline = time.monotonic() + self._attempt.patience
        while self._answer is None and self._ended is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise problems.silent(broker, self._attempt.patience)
            if self._attempt.given_up():
                raise ConnectError(broker, "given up, the agent stops", "start it again")
            self._turn(left)
        if self._answer is None:
            raise problems.closed(broker, self._detail)
        if self._answer.value != 0:
            raise problems.refused(broker, self._answer.value, str(self._answer))
        if self._ended is not None:
            raise ConnectError(broker, self._ended.problem, "use another broker, or change this one's settings")

    def _turn(self, seconds: float | None) -> None:
        """Let the network work once: read, write and keep alive."""
        sock = self._client.socket()
        if sock is None:
            self._end("the connection was lost")
            return
        self._watch(sock)
        longest = max(1.0, self._client.keepalive / _TURNS_PER_KEEPALIVE) if self._client.keepalive else None
        limits = [limit for limit in (seconds, longest) if limit is not None]
        # TLS may hold decrypted bytes that no selector knows of.
        held = getattr(sock, "pending", lambda: 0)() > 0
        timeout = 0.0 if held else max(0.0, min(limits)) if limits else None
        ready = {key.fd: mask for key, mask in self._selector.select(timeout)}
        self._attempt.bell.silence()
        mask = ready.get(sock.fileno(), 0)
        if held or mask & selectors.EVENT_READ:
            self._safely(self._client.loop_read)
        if mask & selectors.EVENT_WRITE:
            self._safely(self._client.loop_write)
        self._safely(self._client.loop_misc)

    def _watch(self, sock: Any) -> None:  # noqa: ANN401 - a socket, or paho's wrapper of one
        mask = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._client.want_write() else 0)
        if self._watched is None:
            self._selector.register(sock, mask)
        elif self._watched != (sock, mask):
            self._selector.modify(sock, mask)
        self._watched = (sock, mask)

    def _unwatch(self) -> None:
        if self._watched is not None:
            self._selector.unregister(self._watched[0])
            self._watched = None

    def _safely(self, step: Callable[[], object]) -> None:
        """No packet, however broken, may end the thread that everything is sent by."""
        try:
            step()
        except Exception as error:  # noqa: BLE001
            self._end(f"the broker sent something unreadable ({type(error).__name__})")
        if self._client.socket() is None:
            self._watched = None
            self._end(self._detail or "the connection was lost")

    def _say_goodbye(self) -> None:
        deadline = time.monotonic() + _CLOSE_SECONDS
        with contextlib.suppress(Exception):  # it is closed in any case
            self._client.disconnect()
            while self._client.socket() is not None and time.monotonic() < deadline:
                self._turn(deadline - time.monotonic())

    def _end(self, problem: str, *, taken_over: bool = False) -> None:
        if self._ended is None:
            self._ended = Ended(problem, taken_over)

    def _listen(self) -> None:
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message
        self._client.on_publish = self._on_publish
        self._client.on_subscribe = self._on_subscribe
        self._client.on_log = self._on_log

    def _on_connect(self, _client: object, _data: object, _flags: object, code: ReasonCode, properties: Any) -> None:  # noqa: ANN401 - paho's Properties has no typed attributes
        self._answer = code
        self.limits = Limits(
            self._attempt.version,
            receive_maximum=getattr(properties, "ReceiveMaximum", 65_535),
            packet_size=getattr(properties, "MaximumPacketSize", None),
        )
        lacking = [
            what
            for what, name in (("QoS 1", "MaximumQoS"), ("retain", "RetainAvailable"))
            if not getattr(properties, name, 1)
        ]
        if code.value == 0 and lacking:
            self._end(f"it offers no {' and no '.join(lacking)}, which counting needs")

    def _on_disconnect(
        self, _client: object, _data: object, flags: paho.DisconnectFlags, code: ReasonCode, _properties: object
    ) -> None:
        if not flags.is_disconnect_packet_from_server:
            self._end(self._detail or f"the connection was lost ({str(code).lower()})")
        elif code.value == problems.TAKEN_OVER:
            problem = f"another client connected with the id {self._attempt.client_id!r}"
            self._end(f"{problem} (reason code {code.value}); give every device a name of its own", taken_over=True)
        else:
            self._end(f"the broker ended the connection: {code} (reason code {code.value})")

    def _on_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            self._events.append(Unreadable("not_text", "its topic is not UTF-8"))
            return
        if len(message.payload) > LARGEST_MESSAGE:
            why = f"it has {len(message.payload)} bytes, {LARGEST_MESSAGE} at most are taken"
            self._events.append(Unreadable("too_large", why))
            return
        self._events.append(Received(topic, bytes(message.payload), message.retain))

    def _on_publish(self, _client: object, _data: object, mid: int, code: ReasonCode, _properties: object) -> None:
        self._events.append(Acknowledged(mid, _refusal(code)))

    def _on_subscribe(
        self, _client: object, _data: object, _mid: int, codes: list[ReasonCode], _properties: object
    ) -> None:
        refusals = [refusal for refusal in map(_refusal, codes) if refusal]
        self._events += [SubscriptionRefused(refusal) for refusal in refusals]

    def _on_log(self, _client: object, _data: object, level: int, text: str) -> None:
        if level == LogLevel.MQTT_LOG_ERR:  # the only place where paho tells what the socket said
            self._detail = _ERRNO.sub("", text.removeprefix("failed to receive on socket: "))


def open_session(attempt: Attempt) -> PahoSession:
    """Connect; returns once the broker accepted.

    Raises:
        ConnectError: it cannot be reached, or refuses.
    """
    session = PahoSession(attempt)
    try:
        session.connect()
    except BaseException:
        session.close(politely=False)
        raise
    return session


def _make_client(attempt: Attempt) -> paho.Client:
    old = attempt.version == "3.1.1"
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=attempt.client_id,
        clean_session=True if old else None,
        protocol=MQTTProtocolVersion.MQTTv311 if old else MQTTProtocolVersion.MQTTv5,
        reconnect_on_failure=False,
    )
    client.connect_timeout = attempt.patience
    client.max_inflight_messages = 0  # the pump keeps the window, so that nothing waits where it cannot be seen
    config = attempt.config
    if config.username is not None or config.password is not None:
        password = config.password.get_secret_value() if config.password else None
        client.username_pw_set(config.username or "", password)
    if attempt.tls is not None:
        client.tls_set_context(attempt.tls)
    if attempt.will is not None:
        client.will_set(attempt.will.topic, attempt.will.payload, attempt.will.qos, attempt.will.retain)
    return client


def _connect_properties() -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.ReceiveMaximum = _RECEIVE_MAXIMUM
    properties.MaximumPacketSize = LARGEST_MESSAGE
    return properties


def _refusal(code: ReasonCode) -> Refusal | None:
    return Refusal(code.value, str(code)) if code.value >= _FAILURE else None
