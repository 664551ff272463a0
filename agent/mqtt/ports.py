"""What the link is to the rest of the agent, and what it needs from a store and from an MQTT client."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from agent.mqtt.bell import Bell
from agent.store import Row, StoreStatus
from contracts.config import BrokerConfig
from contracts.documents import MachineModel
from contracts.topics import Topic

Version = Literal["5", "3.1.1"]
"""A version of MQTT."""


@dataclass(frozen=True)
class ForeignTopic:
    """A topic that somebody else's rules define, like a discovery topic; what is published there is retained.

    Args:
        text: the whole topic.
    """

    text: str

    def __str__(self) -> str:
        return self.text


Address = Topic | ForeignTopic
"""What a newest value is published to."""


class Outlet(Protocol):
    """Where the rest of the agent leaves what should be published; no call waits for the network."""

    def state(self, topic: Topic, message: MachineModel | None) -> None:
        """Publish the newest value of a topic; an older one that was not sent yet is forgotten.

        What is retained is published again on every connection; what is not is dropped where there is none.
        None takes a retained message back.
        """

    def publish_foreign(self, topic: ForeignTopic, payload: bytes) -> None:
        """Publish the newest value of a topic that is not ours, retained; an empty one takes it back."""

    def listen(self, topic: str, receiver: Callable[[Received], None]) -> None:
        """Have what comes on exactly this topic given to ``receiver``, from now on and on every connection.

        It is called by the link's thread: it must not wait. What it raises is logged and counted.
        """

    def wake(self) -> None:
        """Say that the store has new reports."""


class Outbox(Protocol):
    """Reports that wait; the store is one."""

    def waiting(self, after_seq: int, limit: int) -> list[Row]:
        """The first reports after a number, in order."""

    def acknowledge(self, seqs: Iterable[int]) -> None:
        """The broker has these."""

    def discard(self, seqs: Sequence[int]) -> None:
        """No broker will ever take these: drop and count them."""

    def status(self) -> StoreStatus:
        """How many wait."""


@dataclass(frozen=True)
class Outgoing:
    """A message to publish."""

    topic: str
    payload: bytes
    qos: Literal[0, 1]
    retain: bool


@dataclass(frozen=True)
class Refusal:
    """Why the broker did not take something.

    Args:
        code: MQTT 5 reason code, 128 and above.
        name: its name.
    """

    code: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} (reason code {self.code})"


@dataclass(frozen=True)
class Acknowledged:
    """The broker answered a message of QoS 1; ``refusal`` says why it did not take it, None where it did."""

    token: int
    refusal: Refusal | None = None


@dataclass(frozen=True)
class Received:
    """A message came."""

    topic: str
    payload: bytes
    retained: bool


@dataclass(frozen=True)
class Unreadable:
    """A message came that nobody should look at: its topic is no text, or it is too large."""

    reason: Literal["not_text", "too_large"]
    why: str


@dataclass(frozen=True)
class SubscriptionRefused:
    """The broker does not let us listen."""

    refusal: Refusal


@dataclass(frozen=True)
class Ended:
    """The connection is gone; the last event of a session.

    Args:
        problem: what happened, for a person.
        taken_over: whether another client with the same id connected.
    """

    problem: str
    taken_over: bool = False


Event = Acknowledged | Received | Unreadable | SubscriptionRefused | Ended


@dataclass(frozen=True)
class Limits:
    """What the broker takes.

    Args:
        version: of MQTT, that was agreed.
        receive_maximum: messages of QoS 1 that may wait for its answer.
        packet_size: bytes of a packet, or None where it did not say.
    """

    version: Version
    receive_maximum: int = 65_535
    packet_size: int | None = None


class Session(Protocol):
    """One connection's life, used by one thread."""

    @property
    def limits(self) -> Limits:
        """What the broker takes."""

    def publish(self, message: Outgoing) -> int:
        """Hand a message to the network; returns the token that its answer will carry. Never waits, never fails."""

    def wait(self, seconds: float | None) -> list[Event]:
        """What happened, as soon as something did, the bell rang or the time was over."""

    def subscribe(self, topic: str) -> None:
        """Ask for what is published on a topic. Never waits, never fails."""

    def close(self, *, politely: bool) -> None:
        """End it; where not politely, the broker publishes the will."""


@dataclass(frozen=True)
class Attempt:
    """What it takes to connect.

    Args:
        config: the broker.
        client_id: unique at the broker.
        version: of MQTT, to try.
        tls: None for plain TCP.
        will: what the broker publishes where we vanish.
        subscriptions: topic filters.
        bell: wakes whoever waits.
        given_up: whether to stop trying.
        patience: seconds to wait for TCP, for TLS and for the broker's answer, each.
    """

    config: BrokerConfig
    client_id: str
    version: Version
    tls: ssl.SSLContext | None
    bell: Bell
    will: Outgoing | None = None
    subscriptions: tuple[str, ...] = ()
    given_up: Callable[[], bool] = lambda: False
    patience: float = 10.0


class Opener(Protocol):
    """Makes connections."""

    def __call__(self, attempt: Attempt) -> Session:
        """Connect; returns once the broker accepted.

        Raises:
            ConnectError: it cannot be reached, or refuses.
        """
