"""Whether the broker can be reached, lets us in and takes what we say: for ``edgetally-agent check`` and ``doctor``."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass

from agent.mqtt.bell import Bell
from agent.mqtt.ports import Acknowledged, Attempt, Ended, Event, Outgoing, Received, Session, Version
from agent.mqtt.problems import ConnectError
from agent.mqtt.session import open_session
from agent.mqtt.tls import make_context
from agent.mqtt.version import VersionChoice
from contracts.config import BrokerConfig
from contracts.errors import BrokerError
from contracts.topics import Channel, Topic

_DOCTOR = "doctor"  # a reply to an operation that there is not
_COMES_BACK = 0.5  # seconds


def check_broker(config: BrokerConfig, client_id: str | None = None, *, patience: float = 10.0) -> Version:
    """Connect and disconnect.

    Args:
        config: the broker.
        client_id: by default a random one, so that an agent that runs is not disconnected.
        patience: seconds to wait for TCP, for TLS and for the broker's answer, each.

    Returns:
        The version of MQTT that was agreed.

    Raises:
        BrokerError: it cannot be reached, or refuses; says why and what to do.
    """
    with _connected(config, client_id, patience=patience) as session:
        return session.limits.version


@dataclass(frozen=True)
class Exchange:
    """What a broker did with a message of ours.

    Args:
        version: of MQTT, that was agreed.
        heard: whether it came back. A broker whose rules let a box read only what is meant for it does not give it.
    """

    version: Version
    heard: bool


def exchange(config: BrokerConfig, device: str, *, patience: float = 10.0) -> Exchange:
    """Publish a reply that answers nobody, on the box's own topic, and try to read it back; nobody else heeds it.

    Args:
        config: the broker.
        device: the box's id.
        patience: seconds, as of `check_broker`; also for the broker to confirm, and half a second for what comes back.

    Raises:
        BrokerError: it cannot be reached, or refuses; says why and what to do.
    """
    topic = str(Topic(device, Channel.RPC_REPLY, _DOCTOR))
    payload = secrets.token_hex(16).encode()
    with _connected(config, None, patience=patience) as session:
        session.subscribe(str(Topic(device, Channel.DESIRED)))
        session.subscribe(topic)
        token = session.publish(Outgoing(topic, payload, qos=1, retain=False))
        asked = _Asked(config.address, device, token, payload)
        deadline = time.monotonic() + patience
        while not asked.confirmed:
            _look(session, asked, deadline)
            if not asked.confirmed and time.monotonic() >= deadline:
                problem = f"it did not confirm a message within {patience:g} s"
                raise BrokerError(config.address, problem, "look at its log and its load")
        deadline = time.monotonic() + _COMES_BACK
        while not asked.heard and time.monotonic() < deadline:
            _look(session, asked, deadline)
        return Exchange(session.limits.version, asked.heard)


class _Asked:
    """What was said, and what came of it."""

    def __init__(self, broker: str, device: str, token: int, payload: bytes) -> None:
        self._broker = broker
        self._device = device
        self._token = token
        self._payload = payload
        self.confirmed = False
        self.heard = False

    def take(self, event: Event) -> None:
        """Note what happened.

        Raises:
            BrokerError: the broker refused the message, or hung up.
        """
        if isinstance(event, Ended):
            raise BrokerError(self._broker, f"it hung up: {event.problem}", "look at its log")
        if isinstance(event, Received) and event.payload == self._payload:
            self.heard = True
        if isinstance(event, Acknowledged) and event.token == self._token:
            if event.refusal is not None:
                problem = f"it lets this client in, and refuses what it publishes: {event.refusal}"
                do = f"let it write below edgetally/v1/{self._device}/ (`edgetally-fleet broker acl` has the rules)"
                raise BrokerError(self._broker, problem, do)
            self.confirmed = True


def _look(session: Session, asked: _Asked, deadline: float) -> None:
    for event in session.wait(max(0.0, deadline - time.monotonic())):
        asked.take(event)


@contextlib.contextmanager
def _connected(config: BrokerConfig, client_id: str | None, *, patience: float) -> Iterator[Session]:
    """A session, with the version of MQTT that the broker knows."""
    versions = VersionChoice(wanted=config.protocol)
    context = make_context(config)
    client_id = client_id or f"edgetally-check-{secrets.token_hex(4)}"
    with contextlib.closing(Bell()) as bell:
        session = None
        while session is None:
            version = versions.next()
            try:
                session = open_session(Attempt(config, client_id, version, context, bell, patience=patience))
            except ConnectError as error:
                if error.kind == "other" or version == "3.1.1" or config.protocol != "auto":
                    raise
                versions.failed(version, error)
        try:
            yield session
        finally:
            session.close(politely=True)
