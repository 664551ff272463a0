"""The link to the broker: a thread that connects, says who is here, empties the outbox, and does so again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.backoff import Backoff
from agent.counting.clock import utc_text
from agent.mqtt.bell import Bell
from agent.mqtt.board import Board
from agent.mqtt.incoming import Incoming, Receiver
from agent.mqtt.ports import (
    Acknowledged,
    Attempt,
    Ended,
    Event,
    ForeignTopic,
    Opener,
    Outbox,
    Outgoing,
    Received,
    Session,
    SubscriptionRefused,
    Unreadable,
    Version,
)
from agent.mqtt.problems import ConnectError
from agent.mqtt.pump import Pump, PumpSettings
from agent.mqtt.session import open_session
from agent.mqtt.tls import make_context
from agent.mqtt.version import VersionChoice
from contracts.config import BrokerConfig
from contracts.documents import MachineModel
from contracts.errors import EdgetallyError
from contracts.health import BrokerHealth
from contracts.messages import Hello, Status
from contracts.topics import Channel, Topic

_log = logging.getLogger(__name__)

_SUSPICIOUS = 3  # connections in a row that did not last
_CLONE_HINT = "; again and again: does another device have the same name?"


@dataclass(frozen=True)
class LinkSettings:
    """How the link behaves.

    Args:
        pump: what is sent when.
        stable: seconds that a connection has to last before the next delay is the first one again.
        contested: the same after another client took the id over: two that fight should do so slowly.
        connect: seconds to wait for TCP, for TLS and for the broker's answer, each.
        flush: seconds that stopping waits for the outbox to empty.
        farewell: seconds that stopping then waits for the broker to take the last message.
    """

    pump: PumpSettings = field(default_factory=PumpSettings)
    stable: float = 30.0
    contested: float = 600.0
    connect: float = 10.0
    flush: float = 3.0
    farewell: float = 2.0


class MqttLink:
    """Publishes what the outbox and the rest of the agent leave with it; implements `Outlet`.

    Args:
        config: the broker.
        device: this device's id, also its client id.
        boot_id: of this boot.
        outbox: reports that wait; the store. It has to stay open until `stop` returned.
        hello: what is said at the beginning of every connection.
        backoff: how long to wait between connections.
        receiver: takes what comes; where there is none everything is refused.
        opener: makes connections.
        settings: how it behaves.
    """

    def __init__(  # noqa: PLR0913 - the parts that it is composed of
        self,
        config: BrokerConfig,
        device: str,
        boot_id: str,
        outbox: Outbox,
        *,
        hello: Callable[[], Hello],
        backoff: Backoff | None = None,
        receiver: Receiver | None = None,
        opener: Opener = open_session,
        settings: LinkSettings | None = None,
    ) -> None:
        self._config = config
        self._wanted = config
        self._device = device
        self._boot_id = boot_id
        self._outbox = outbox
        self._hello = hello
        self._backoff = backoff or Backoff(first=2.0, most=120.0)
        self._opener = opener
        self._settings = settings or LinkSettings()
        self._versions = VersionChoice(wanted=config.protocol)
        self._listeners: dict[str, Receiver] = {}
        self._subscribed: set[str] = set()
        self._incoming = Incoming(receiver, self._listeners)
        self._bell = Bell()
        self._board = Board()
        self._pump = Pump(outbox, self._board, boot_id, self._settings.pump)
        self._news = threading.Event()
        self._stop_at: float | None = None
        self._protocol: Version | None = None
        self._problem: str | None = "not connected yet"
        self._said: str | None = None
        self._short_lived = 0
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def reconfigure(self, config: BrokerConfig) -> None:
        """Go on with other settings of the broker: say goodbye to the one before, and connect anew at once."""
        self._wanted = config
        self._bell.ring()

    def stop(self, timeout: float = 10.0) -> None:
        """Send what can be sent in a few seconds, say goodbye and end; twice is harmless.

        Args:
            timeout: seconds that all of it gets; then it is left behind.
        """
        settings = self._settings
        if self._stop_at is None:
            self._stop_at = time.monotonic() + max(0.0, min(settings.flush, timeout - settings.farewell))
        self._news.set()
        self._bell.ring()
        if self._thread.ident is None:
            return
        self._thread.join(timeout)
        if self._thread.is_alive():  # inside a look-up of the host's name, which nothing can interrupt
            _log.warning("the connection to %s did not end in time and is left behind", self._config.address)
        else:
            self._bell.close()

    def state(self, topic: Topic, message: MachineModel | None) -> None:
        """Publish the newest value of a topic; see `Outlet`."""
        payload = b"" if message is None else _json(message)
        if self._board.put(topic, payload) and self._protocol is not None:
            self._bell.ring()

    def publish_foreign(self, topic: ForeignTopic, payload: bytes) -> None:
        """Publish the newest value of a topic that is not ours, retained; see `Outlet`."""
        if self._board.put(topic, payload) and self._protocol is not None:
            self._bell.ring()

    def answer(self, topic: Topic, message: MachineModel) -> None:
        """Publish a message once, in its turn and unlike `state` beside earlier ones of its topic.

        It is dropped where there is no connection, and with one that ends before the broker has it.
        """
        self._board.answer(topic, _json(message))
        if self._protocol is not None:
            self._bell.ring()

    def listen(self, topic: str, receiver: Receiver) -> None:
        """Have what comes on exactly this topic given to ``receiver``; see `Outlet`."""
        self._listeners[topic] = receiver
        if self._protocol is not None:
            self._bell.ring()

    def wake(self) -> None:
        """Say that the store has new reports."""
        self._news.set()
        if self._protocol is not None:
            self._bell.ring()

    @property
    def connected(self) -> bool:
        """Whether the broker of the newest settings accepted the connection that is open now."""
        return self._protocol is not None and not self._moves

    @property
    def acknowledged(self) -> int:
        """Messages that a broker confirmed it has, since the start."""
        return self._pump.acknowledged

    def health(self) -> BrokerHealth:
        """How it is; any thread may ask."""
        protocol = self._protocol
        return BrokerHealth(
            connected=self.connected,
            problem=self._pump.refusal if protocol is not None else self._problem,
            protocol=protocol,
            messages_refused=dict(self._incoming.refused),
        )

    @property
    def _moves(self) -> bool:
        """Whether other settings wait to be taken."""
        return self._wanted is not self._config

    def _take_settings(self) -> None:
        if self._moves:
            self._config = self._wanted
            self._versions = VersionChoice(wanted=self._config.protocol)
            self._backoff.reset()

    def _run(self) -> None:
        while self._stop_at is None:
            self._take_settings()
            try:
                self._live()
            except EdgetallyError as error:
                self._say(str(error))
            except Exception:  # noqa: BLE001 - a box that is silent for ever is worse than one that begins again
                _log.exception("the link to %s failed inside, and begins again", self._config.address)
                self._problem = "it failed inside; see the log"
            self._rest(self._backoff.next())
        self._problem = "stopped"

    def _rest(self, seconds: float) -> None:
        """Wait, but not when stopping, or when other settings wait."""
        deadline = time.monotonic() + seconds
        while self._stop_at is None and not self._moves and (left := deadline - time.monotonic()) > 0:
            self._bell.wait(left)

    def _live(self) -> None:
        """One connection, from its beginning to its end."""
        session = self._connect()
        began = time.monotonic()
        self._protocol = session.limits.version
        self._said = None
        _log.info("connected to %s by MQTT %s", self._config.address, self._protocol)
        ended = None
        try:
            ended = self._converse(session)
        finally:
            self._protocol = None
            session.close(politely=ended is None and self._leaves)
            self._pump.end()
        if ended is not None:
            self._judge(ended, time.monotonic() - began)

    def _connect(self) -> Session:
        version = self._versions.next()
        attempt = Attempt(
            config=self._config,
            client_id=self._device,
            version=version,
            tls=make_context(self._config),  # anew each time, so that renewed certificates are taken
            bell=self._bell,
            will=self._status("offline", "connection lost", at=None),
            subscriptions=(str(Topic(self._device, Channel.DESIRED)),),
            given_up=lambda: self._leaves,
            patience=self._settings.connect,
        )
        try:
            session = self._opener(attempt)
        except ConnectError as error:
            self._versions.failed(version, error)
            raise
        self._versions.succeeded(version)
        return session

    def _converse(self, session: Session) -> Ended | None:
        """Send and receive until the connection ends, or None where we end it."""
        self._pump.begin(session.limits, self._greetings())
        self._subscribed.clear()
        while True:
            for topic in set(self._listeners) - self._subscribed:
                session.subscribe(topic)
                self._subscribed.add(topic)
            if self._news.is_set():
                self._news.clear()
                self._pump.look_again()
            self._pump.feed(session.publish)
            if self._moves or self._is_done():
                self._say_goodbye(session, "stopped" if self._stop_at is not None else "moving to another broker")
                return None
            ended = self._take(session.wait(self._patience()))
            if ended is not None:
                return ended
            if self._pump.is_stuck:
                return Ended(f"the broker left a message unanswered for {self._settings.pump.answer_within:g} s")

    def _take(self, events: list[Event]) -> Ended | None:
        self._pump.answered([event for event in events if isinstance(event, Acknowledged)])
        ended = None
        for event in events:
            if isinstance(event, (Received, Unreadable)):
                self._incoming.take(event)
            elif isinstance(event, SubscriptionRefused):
                _log.warning("%s does not let this device listen: %s", self._config.address, event.refusal)
            elif isinstance(event, Ended):
                ended = event
        return ended

    def _is_done(self) -> bool:
        return self._stop_at is not None and (self._pump.is_idle or time.monotonic() >= self._stop_at)

    @property
    def _leaves(self) -> bool:
        """Whether this connection, or the attempt at one, is to end."""
        return self._stop_at is not None or self._moves

    def _say_goodbye(self, session: Session, reason: str) -> None:
        token = session.publish(self._status("offline", reason, at=utc_text(time.time())))
        deadline = time.monotonic() + self._settings.farewell
        while (left := deadline - time.monotonic()) > 0:
            events = session.wait(left)
            answers = [event for event in events if isinstance(event, Acknowledged)]
            self._pump.answered(answers)
            if any(answer.token == token for answer in answers) or any(isinstance(event, Ended) for event in events):
                return

    def _patience(self) -> float | None:
        """Seconds until something is to be done although nothing happens."""
        deadlines = [at for at in (self._pump.deadline, self._stop_at) if at is not None]
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None

    def _judge(self, ended: Ended, lasted: float) -> None:
        """A connection that did not last counts as a failed one, so that trouble is met ever more slowly."""
        needed = self._settings.contested if ended.taken_over else self._settings.stable
        if lasted >= needed:
            self._backoff.reset()
        self._short_lived = self._short_lived + 1 if lasted < self._settings.stable else 0
        # Not every broker says so when a second box, made from a copy of this one's disk, takes the connection over.
        hint = _CLONE_HINT if self._short_lived >= _SUSPICIOUS and not ended.taken_over else ""
        self._say(f"broker {self._config.address}: {ended.problem}{hint}")

    def _say(self, problem: str) -> None:
        """Note what is wrong; the same trouble is logged once, not at every attempt."""
        self._problem = problem
        if self._stop_at is None and problem != self._said:
            _log.warning("%s; trying again, reports wait", problem)
            self._said = problem

    def _greetings(self) -> list[Outgoing]:
        hello = Topic(self._device, Channel.HELLO)
        return [
            self._status("online", "connected", at=utc_text(time.time())),
            Outgoing(str(hello), _json(self._hello()), hello.channel.qos, hello.channel.retained),
        ]

    def _status(self, status: str, reason: str, at: str | None) -> Outgoing:
        topic = Topic(self._device, Channel.STATUS)
        message = Status.model_validate({"status": status, "boot_id": self._boot_id, "reason": reason, "at": at})
        return Outgoing(str(topic), _json(message), topic.channel.qos, topic.channel.retained)


def _json(message: MachineModel) -> bytes:
    return message.model_dump_json(by_alias=True).encode()
