"""Counts and events from a live broker, kept before they are acknowledged."""

from __future__ import annotations

import json
import threading
from types import TracebackType
from typing import TextIO

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from typing_extensions import Self

from agent.mqtt.tls import make_context
from contracts.config import BrokerConfig
from contracts.errors import BrokerError
from contracts.topics import Channel, subscription
from tools.billing.intake import Intake

_WEEK = 7 * 86_400  # seconds for which the broker keeps what comes while nobody listens


class LiveIntake:
    """Takes in what a broker sends; with a client id, also what it kept meanwhile.

    Args:
        config: the broker.
        device: whose counts, ``+`` for all.
        client_id: of a session that the broker keeps for a week; None for one that ends with the connection.
        dump: every message goes here first, as a line of JSON.

    Raises:
        BrokerError: it cannot be reached.
    """

    def __init__(
        self, config: BrokerConfig, device: str = "+", client_id: str | None = None, dump: TextIO | None = None
    ) -> None:
        self._intake = Intake()
        self._device = device
        self._dump = dump
        self._mutex = threading.Lock()
        self._refusal: str | None = None
        self._listens = threading.Event()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id or "", protocol=MQTTProtocolVersion.MQTTv5, manual_ack=True
        )
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._listens.set()
        self._client.on_message = self._on_message
        if config.username is not None:
            password = config.password.get_secret_value() if config.password else None
            self._client.username_pw_set(config.username, password)
        if (context := make_context(config)) is not None:
            self._client.tls_set_context(context)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = _WEEK if client_id else 0
        try:
            self._client.connect(
                config.host, config.port, config.keepalive, clean_start=not client_id, properties=properties
            )
        except OSError as error:
            raise BrokerError(config.address, str(error.strerror or error), "check 'host' and 'port'") from error
        self._client.loop_start()
        self._address = config.address

    def __enter__(self) -> Self:
        """Wait until it listens.

        Raises:
            BrokerError: the broker refuses.
        """
        if not self._listens.wait(30.0) or self._refusal:
            self.__exit__(None, None, None)
            raise BrokerError(self._address, self._refusal or "no answer within 30 s", "check the credentials")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def read(self) -> Intake:
        """All that came so far; a copy."""
        with self._mutex:
            kept = self._intake
            return Intake(dict(kept.messages), kept.repeated, list(kept.conflicts), kept.refused)

    def _on_connect(
        self, client: paho.Client, _data: object, _flags: object, code: ReasonCode, _properties: object
    ) -> None:
        if code.is_failure:
            self._refusal = str(code)
            self._listens.set()
            return
        channels = (Channel.CAMERA_COUNTS, Channel.CAMERA_EVENTS)
        client.subscribe([(subscription(channel, device=self._device), 1) for channel in channels])

    def _on_message(self, client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        with self._mutex:
            if self._dump is not None:
                line = {"topic": topic, "payload": bytes(message.payload).decode(errors="replace")}
                self._dump.write(json.dumps(line) + "\n")
                self._dump.flush()
            self._intake.take(bytes(message.payload), topic)
        client.ack(message.mid, message.qos)
