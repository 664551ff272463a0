"""The fleet's connection to the broker: messages come, and are acknowledged once they are in the database.

One thread owns it, and the callbacks only note what came. The broker keeps the session while we are away, so that what
was not acknowledged comes again.
"""

from __future__ import annotations

import contextlib
import selectors
import ssl
import time
from collections.abc import Iterable
from typing import Literal, NamedTuple

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from contracts.config import BrokerConfig
from contracts.errors import BrokerError
from contracts.topics import subscription
from fleet.clock import Clock, wall_ms
from fleet.ingest import Arrived
from fleet.inventory.reading import CHANNELS, clean

Version = Literal["5", "3.1.1"]
"""A version of MQTT."""

OtherVersion = Literal["surely", "perhaps", "no"]
"""Whether another version of MQTT might help."""

BATCH = 500
"""Messages that are read at once, and that the broker may send before the first of them is acknowledged."""

_GATHER_SECONDS = 0.05  # that the first of many messages waits at most
_PAUSE_SECONDS = 0.005  # without a message: then nothing is to come, or the broker waits for an acknowledgement
_LARGEST_PACKET = 1_048_576  # bytes; the broker drops what is larger, MQTT 5 only
_SESSION_SECONDS = 86_400  # that the broker keeps our session; what is retained comes again in any case
_FAILURE = 128  # MQTT 5: reason codes from here on are failures
_UNSUPPORTED_VERSION = 132
_CLOSE_SECONDS = 1.0


class ConnectError(BrokerError):
    """A connection did not come about.

    Args:
        broker: ``host:port``.
        problem: what it said.
        do: what a person can do about it.
        other_version: whether another version of MQTT might help: for sure, perhaps, or not.
    """

    def __init__(self, broker: str, problem: str, do: str, other_version: OtherVersion = "no") -> None:
        super().__init__(broker, problem, do)
        self.other_version = other_version


class Delivery(NamedTuple):
    """A message that came, and what acknowledges it; ``mid`` is None where nothing has to."""

    arrived: Arrived
    mid: int | None


class Session:
    """A connection that the broker accepted.

    Args:
        config: the broker.
        client_id: under which the broker keeps the session; of one program at a time.
        version: of MQTT.
        patience: seconds to wait for TCP, for TLS and for the broker's answer, each.
        clock: what the times of arrivals are taken from.

    Raises:
        ConnectError: it cannot be reached, or refuses.
    """

    def __init__(
        self, config: BrokerConfig, client_id: str, version: Version, patience: float = 10.0, clock: Clock = wall_ms
    ) -> None:
        self._clock = clock
        self._config = config
        self._version = version
        self._inbox: list[Delivery] = []
        self._answer: ReasonCode | None = None
        self.ended: str | None = None
        self.subscription_refused: str | None = None
        self.publish_refused: str | None = None
        self._confirmed: list[int] = []
        self._refused: list[int] = []
        self._client = _client(config, client_id, version)
        self._client.connect_timeout = patience
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message
        self._client.on_subscribe = self._on_subscribe
        self._client.on_publish = self._on_publish
        try:
            self._connect(patience)
        except BaseException:
            self.close()
            raise

    def wait(self, seconds: float) -> list[Delivery]:
        """What came, once it comes no more or the time is over; about `BATCH` messages at most.

        A stream is gathered for a moment: what is stored of many messages at once costs each of them far less.
        """
        self._turn(seconds)
        self._gather()
        came, self._inbox = self._inbox, []
        return came

    def acknowledge(self, deliveries: Iterable[Delivery]) -> None:
        """Tell the broker that it need not send these again."""
        for one in deliveries:
            if one.mid is not None and self.ended is None:
                self._safely(lambda mid=one.mid: self._client.ack(mid, 1))

    def publish(self, topic: str, payload: bytes) -> int:
        """Have the broker keep a message (QoS 1, retained); its number, which `confirmed` gives once it does."""
        return self._client.publish(topic, payload, qos=1, retain=True).mid

    def confirmed(self) -> list[int]:
        """The messages that the broker has taken since the last call."""
        numbers, self._confirmed = self._confirmed, []
        return numbers

    def refused(self) -> list[int]:
        """The messages that the broker has not taken, and will not, since the last call."""
        numbers, self._refused = self._refused, []
        return numbers

    def close(self) -> None:
        """Say goodbye; the broker keeps the session."""
        with contextlib.suppress(Exception):  # it is over in any case
            self._client.disconnect()
            deadline = time.monotonic() + _CLOSE_SECONDS
            while self._client.socket() is not None and time.monotonic() < deadline:
                self._turn(0.1)
        sock = self._client.socket()
        if sock is not None:
            sock.close()

    def _gather(self) -> None:
        deadline = time.monotonic() + _GATHER_SECONDS
        came = 0
        while came < len(self._inbox) < BATCH and self.ended is None and time.monotonic() < deadline:
            came = len(self._inbox)
            self._turn(_PAUSE_SECONDS)

    def _connect(self, patience: float) -> None:
        broker = self._config.address
        try:
            self._dial()
        except (OSError, ValueError) as error:
            raise ConnectError(
                broker, f"cannot be reached ({_said(error)})", "check its address, and that it runs"
            ) from error
        deadline = time.monotonic() + patience
        while self._answer is None and self.ended is None:
            if time.monotonic() >= deadline:
                raise ConnectError(broker, f"said nothing for {patience:.0f} s", "is it an MQTT broker?", "surely")
            self._turn(0.2)
        if self._answer is None:
            raise ConnectError(broker, f"hung up ({self.ended})", "look into its log", "perhaps")
        if self._answer.value != 0:
            other: OtherVersion = "surely" if self._answer.value == _UNSUPPORTED_VERSION else "no"
            problem = f"refused the connection: {self._answer} (reason code {self._answer.value})"
            raise ConnectError(broker, problem, "check user, password, certificate and the broker's rules", other)
        wanted: list[tuple[str, int]] = [(subscription(channel), channel.qos) for channel in CHANNELS]
        self._client.subscribe(wanted)

    def _dial(self) -> None:
        config = self._config
        if self._version == "5":
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = _SESSION_SECONDS
            properties.ReceiveMaximum = BATCH
            properties.MaximumPacketSize = _LARGEST_PACKET
            self._client.connect(config.host, config.port, config.keepalive, clean_start=False, properties=properties)
        else:
            self._client.connect(config.host, config.port, config.keepalive)

    def _turn(self, seconds: float) -> None:
        """Let the network work: write what waits, read what is there, keep alive."""
        sock = self._client.socket()
        if sock is None:
            self._end("the connection was lost")
            return
        with selectors.DefaultSelector() as selector:
            wanted = selectors.EVENT_WRITE if self._client.want_write() else 0
            selector.register(sock, selectors.EVENT_READ | wanted)
            ready = self._ready(selector, seconds)
            if ready & selectors.EVENT_WRITE:
                self._safely(self._client.loop_write)
            for _ in range(BATCH):
                # Each reads as many packets as we have publishes under way: without a look at what came already, all
                # that the broker keeps would become one batch, which takes longer than the lease.
                if not ready & selectors.EVENT_READ or self.ended is not None or len(self._inbox) >= BATCH:
                    break
                self._safely(self._client.loop_read)
                ready = self._ready(selector, 0.0) if self.ended is None else 0
        if self.ended is None:
            self._safely(self._client.loop_misc)

    def _ready(self, selector: selectors.BaseSelector, seconds: float) -> int:
        sock = self._client.socket()
        if sock is not None and getattr(sock, "pending", lambda: 0)() > 0:  # TLS holds bytes that no selector knows of
            return selectors.EVENT_READ
        found = selector.select(seconds)
        return found[0][1] if found else 0

    def _safely(self, step: object) -> None:
        """No packet, however broken, may end the program."""
        assert callable(step)
        try:
            code = step()
        except Exception as error:  # noqa: BLE001
            self._end(f"the broker sent something unreadable ({type(error).__name__})")
            return
        if code not in {MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_AGAIN} or self._client.socket() is None:
            self._end("the connection was lost")

    def _end(self, problem: str) -> None:
        self.ended = self.ended or problem

    def _on_connect(
        self, _client: object, _data: object, _flags: object, code: ReasonCode, _properties: object
    ) -> None:
        self._answer = code

    def _on_disconnect(
        self, _client: object, _data: object, _flags: object, code: ReasonCode, _properties: object
    ) -> None:
        self._end(f"{code} (reason code {code.value})")

    def _on_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        arrived = Arrived(topic, bytes(message.payload), message.retain, self._clock())
        self._inbox.append(Delivery(arrived, message.mid if message.qos else None))

    def _on_publish(self, _client: object, _data: object, mid: int, code: ReasonCode, _properties: object) -> None:
        if code.value >= _FAILURE:
            self.publish_refused = str(code)
            self._refused.append(mid)
        else:
            self._confirmed.append(mid)

    def _on_subscribe(
        self, _client: object, _data: object, _mid: int, codes: list[ReasonCode], _properties: object
    ) -> None:
        refused = [str(code) for code in codes if code.value >= _FAILURE]
        self.subscription_refused = refused[0] if refused else None


def _client(config: BrokerConfig, client_id: str, version: Version) -> paho.Client:
    old = version == "3.1.1"
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        clean_session=False if old else None,
        protocol=MQTTProtocolVersion.MQTTv311 if old else MQTTProtocolVersion.MQTTv5,
        reconnect_on_failure=False,
        manual_ack=True,
    )
    if config.username is not None or config.password is not None:
        password = config.password.get_secret_value() if config.password else None
        client.username_pw_set(config.username or "", password)
    client.max_inflight_messages_set(BATCH)  # what may be under way is bounded by whoever publishes
    if config.tls is not None:
        client.tls_set_context(_tls(config))
    return client


def _tls(config: BrokerConfig) -> ssl.SSLContext:
    assert config.tls is not None
    tls = config.tls
    try:
        context = ssl.create_default_context(cafile=tls.ca)  # the host's name is checked, TLS is 1.2 at least
        if tls.certificate is not None:
            # An encrypted key would ask for its password on the terminal, and hang a service for ever.
            context.load_cert_chain(tls.certificate, tls.key, password=lambda: "")
    except OSError as error:  # ssl.SSLError is one
        problem = f"a file of certificates or keys cannot be used ({_said(error)})"
        raise ConnectError(config.address, problem, "give PEM files of certificates and an unencrypted key") from error
    return context


def _said(error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) else None
    return clean(reason or str(error) or type(error).__name__)
