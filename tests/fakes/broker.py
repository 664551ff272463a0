"""A broker in memory: implements the port behind which paho hides, and does what a test tells it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence

from agent.mqtt.ports import Acknowledged, Attempt, Ended, Event, Limits, Outgoing, Refusal
from agent.mqtt.problems import ConnectError

PATIENCE = 30.0  # seconds; only a failing test waits that long


class FakeSession:
    """A connection to the broker in memory."""

    def __init__(self, broker: FakeBroker, attempt: Attempt) -> None:
        self.attempt = attempt
        self.limits = broker.limits or Limits(attempt.version)
        self.published: list[tuple[int, Outgoing]] = []
        self.closed: bool | None = None
        self.waits: list[float | None] = []
        self.subscribed: list[str] = []
        self._broker = broker
        self._tokens = itertools.count(1)
        self._events: list[Event] = []

    def publish(self, message: Outgoing) -> int:
        token = next(self._tokens)
        with self._broker.changed:
            self.published.append((token, message))
            if self._broker.answers and message.qos:
                self._events.append(Acknowledged(token, self._broker.refuse(message)))
            self._broker.changed.notify_all()
        return token

    def wait(self, seconds: float | None) -> list[Event]:
        with self._broker.changed:
            has_news = bool(self._events)
            self.waits.append(seconds)
            self._broker.changed.notify_all()
        if not has_news:
            self.attempt.bell.wait(seconds)
        with self._broker.changed:
            events, self._events = self._events, []
        return events

    def subscribe(self, topic: str) -> None:
        with self._broker.changed:
            self.subscribed.append(topic)
            self._broker.changed.notify_all()

    def close(self, *, politely: bool) -> None:
        with self._broker.changed:
            self.closed = politely
            self._broker.changed.notify_all()

    def happen(self, *events: Event) -> None:
        """Let these events be the next that come out of ``wait``."""
        with self._broker.changed:
            self._events += events
        self.attempt.bell.ring()

    def break_off(self, problem: str = "pulled the plug", *, taken_over: bool = False) -> None:
        """Let the connection end."""
        self.happen(Ended(problem, taken_over))

    def messages(self, ending: str = "") -> list[Outgoing]:
        """What was published on topics with that ending."""
        return [message for _, message in self.published if message.topic.endswith(ending)]


class FakeBroker:
    """Makes connections; what it answers is set by its attributes."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.answers = True
        self.limits: Limits | None = None
        self.refuse: Callable[[Outgoing], Refusal | None] = lambda _: None
        self.refusals: list[ConnectError] = []
        self.attempts: list[Attempt] = []
        self.sessions: list[FakeSession] = []

    def __call__(self, attempt: Attempt) -> FakeSession:
        with self.changed:
            self.attempts.append(attempt)
            self.changed.notify_all()
            if self.refusals:
                raise self.refusals.pop(0)
            self.sessions.append(FakeSession(self, attempt))
            return self.sessions[-1]

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Wait until it holds.

        Raises:
            AssertionError: it did not within the patience.
        """
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE), "what the test waited for did not happen"

    def session(self, number: int = 0) -> FakeSession:
        """The connection of that number, once there is one."""
        self.wait_for(lambda: len(self.sessions) > number)
        return self.sessions[number]

    def topics(self) -> Sequence[str]:
        """The last part of every topic published, over all connections."""
        return [message.topic.rsplit("/", 1)[-1] for session in self.sessions for _, message in session.published]
