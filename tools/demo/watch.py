"""What the demo knows of the agent: only what the broker delivers, as any consumer would."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from pydantic import ValidationError

from contracts.errors import BrokerError, WrittenError
from contracts.health import Health
from contracts.messages import CameraState, CountReport, FactsMessage, Status
from contracts.topics import ROOT, Channel, Topic

View = TypeVar("View")


@dataclass
class Seen:
    """The newest of each kind, and what has to be summed over all.

    Args:
        counted: of each camera, frame number to the count published for it.
        reports: every CountReport once, by its ``(store_id, seq)``.
    """

    status: Status | None = None
    facts: FactsMessage | None = None
    health: Health | None = None
    states: dict[str, CameraState] = field(default_factory=dict)
    counted: dict[str, dict[int, float]] = field(default_factory=dict)
    reports: dict[tuple[str, int], CountReport] = field(default_factory=dict)

    def take(self, channel: Channel, payload: bytes) -> None:
        """Remember a message."""
        if channel is Channel.STATUS:
            self.status = Status.model_validate_json(payload)
        elif channel is Channel.FACTS:
            self.facts = FactsMessage.model_validate_json(payload)
        elif channel is Channel.HEALTH:
            self.health = Health.model_validate_json(payload)
        elif channel is Channel.CAMERA_COUNTS:
            report = CountReport.model_validate_json(payload)
            self.reports[report.store_id, report.seq] = report
        elif channel is Channel.CAMERA_STATE:
            self._take_state(CameraState.model_validate_json(payload))

    def _take_state(self, state: CameraState) -> None:
        self.states[state.camera] = state
        if state.frame is not None and state.count is not None:
            self.counted.setdefault(state.camera, {})[state.frame] = state.count


class Watcher:
    """Subscribes to one device and keeps what comes.

    Args:
        host: the broker.
        port: its TCP port.
        device: whose messages.

    Raises:
        BrokerError: it cannot be reached.
    """

    def __init__(self, host: str, port: int, device: str) -> None:
        self._lock = threading.Lock()
        self._seen = Seen()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe(f"{ROOT}/{device}/#", qos=1)
        self._client.on_message = self._on_message
        try:
            self._client.connect(host, port)
        except OSError as error:
            problem = str(error.strerror or error)
            raise BrokerError(
                f"{host}:{port}", problem, "start it, or leave --broker out for an embedded one"
            ) from error
        self._client.loop_start()

    def read(self, view: Callable[[Seen], View]) -> View:
        """Look at what was seen while nothing changes."""
        with self._lock:
            return view(self._seen)

    def close(self) -> None:
        """Leave the broker."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        del client, userdata
        try:
            topic = Topic.parse(message.topic)
            with self._lock:
                self._seen.take(topic.channel, bytes(message.payload))
        except (WrittenError, ValidationError, UnicodeDecodeError):
            return  # not from our agent: a broker that was named may be shared
