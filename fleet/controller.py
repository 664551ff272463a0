"""The controller: takes in what boxes publish, and publishes what they should run.

Any number may run on one database. One of them talks to the broker, which it may as long as it renews its lease; the
others stand by, and all of them share the work on the database (`fleet.work`). A broker or database that fails is
waited for.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from contracts.config import BrokerConfig
from fleet.backoff import Backoff
from fleet.clock import Clock, wall_ms
from fleet.ingest import Ingest
from fleet.mqtt import BATCH, ConnectError, Delivery, Session, Version
from fleet.store.errors import DatabaseError
from fleet.store.settings import Listening

_log = logging.getLogger(__name__)

_BUSY_SECONDS = 0.02  # until what waits is sent on, while much does
_TURN_SECONDS = 0.5  # the longest time until a wish to stop is noticed
_FEW = 10  # messages of one turn; more may mean that the broker holds further ones back, as Mosquitto does beyond 20
_MOST_PENDING = 20 * BATCH  # only a broker that heeds no window sends so many: it has to send them again
_PERHAPS = 2  # times that a broker hangs up until the older version of MQTT is tried


@dataclass(frozen=True)
class ControllerSettings:
    """How the controller behaves; all in seconds.

    Args:
        flush: between two times at which is written when boxes were last seen; what a kill loses.
        first_wait: before the second try to connect or to write; each further one is twice as long.
        longest_wait: between two tries.
        connect: to wait for TCP, for TLS and for the broker's answer, each.
        summary: between two lines in the log of what was taken in and refused.
        lease: until another controller goes on where this one is gone.
    """

    flush: float = 10.0
    first_wait: float = 1.0
    longest_wait: float = 60.0
    connect: float = 10.0
    summary: float = 60.0
    lease: float = 10.0


class Turn(Protocol):
    """Does some work, and says whether more is to be done at once."""

    def turn(self) -> bool:
        """Do some of it.

        Raises:
            DatabaseError: the database cannot be used now.
        """


class OneAtATime(Protocol):
    """What lets one controller at a time talk to the broker."""

    def take(self, now_ms: int) -> bool:
        """Take it, or renew it: whether this controller holds it."""

    def give_back(self) -> None:
        """Let another one have it."""


@dataclass(frozen=True)
class Link:
    """How a controller talks to the broker.

    Args:
        broker: where boxes publish.
        client_id: the same of all controllers of a database: the broker keeps one session for them.
        outbox: publishes what waits, over one connection.
        lease: what it may talk under.
        clock: what the times of messages are taken from.
    """

    broker: BrokerConfig
    client_id: str
    outbox: Callable[[Session], Turn]
    lease: OneAtATime
    clock: Clock = wall_ms


class Controller:
    """Talks to the broker, in one thread.

    Args:
        link: how.
        ingest: takes messages in.
        stopping: whether to stop.
        settings: how it behaves.
    """

    def __init__(
        self, link: Link, ingest: Ingest, stopping: Callable[[], bool], settings: ControllerSettings | None = None
    ) -> None:
        self._link = link
        self._ingest = ingest
        self._stopping = stopping
        self._settings = settings or ControllerSettings()
        self._renew_at = 0.0
        self._leads = False
        self._told = False
        self._version: Version = "5"
        self._hung_up = 0
        self._pending: list[Delivery] = []
        self._failed = False
        self._database_wait = Backoff(self._settings.first_wait, self._settings.longest_wait)
        self._listening: Listening | None = None
        self._flush_at = time.monotonic() + self._settings.flush
        self._summary_at = time.monotonic() + self._settings.summary
        self._summed = (0, 0)

    def run(self) -> None:
        """Work until it should stop."""
        wait = Backoff(self._settings.first_wait, self._settings.longest_wait)
        broker = self._link.broker
        while not self._stopping():
            if not self._may_talk():
                time.sleep(min(_TURN_SECONDS, self._settings.lease / 3))
                continue
            try:
                session = self._connect()
            except ConnectError as error:
                self._choose_version(error)
                _log.warning("%s", error)
                wait.longer()
                self._idle(wait)
                continue
            wait.reset()
            self._hung_up = 0
            _log.info("connected to %s with MQTT %s", broker.address, self._version)
            self._work(session)
            if not self._stopping():
                wait.longer()
                self._idle(wait)
        self._flush()
        self._sum_up()
        self._stand_down()

    def _connect(self) -> Session:
        link = self._link
        return Session(link.broker, link.client_id, self._version, self._settings.connect, link.clock)

    def _work(self, session: Session) -> None:
        outbox = self._link.outbox(session)
        told: set[str] = set()
        more = False
        since_ms = self._link.clock()
        while session.ended is None and not self._stopping() and self._may_talk():
            longest = _BUSY_SECONDS if more else _TURN_SECONDS
            came = session.wait(min(longest, self._database_wait.left or longest))
            self._pending += came
            self._take(session)
            if not self._pending and len(came) < _FEW:
                until_ms = self._link.clock()
                since_ms = min(since_ms, until_ms)  # the clock may be set back
                self._listening = Listening(since_ms, until_ms)
            if len(self._pending) > _MOST_PENDING:
                break
            more = self._send(outbox)
            self._routine()
            self._tell_refusals(session, told)
        if session.ended is not None:
            _log.warning("broker %s: %s; connecting again", self._link.broker.address, session.ended)
        session.close()
        self._pending = []  # what was not acknowledged comes again
        self._listening = None

    def _may_talk(self) -> bool:
        """Whether this controller is the one that talks to the broker; where the database is away nobody else is."""
        now = time.monotonic()
        if now < self._renew_at or not self._database_wait.is_over:
            return self._leads
        try:
            leads = self._link.lease.take(wall_ms())  # of the machine: the other programs' clock
        except DatabaseError as error:
            self._database_failed(error)
            return self._leads
        self._renew_at = now + self._settings.lease / 3
        if leads != self._leads or not self._told:
            self._told = True
            _log.info(
                "this controller talks to the broker now" if leads else "another controller does; this one stands by"
            )
        self._leads = leads
        return leads

    def _stand_down(self) -> None:
        if self._leads:
            with contextlib.suppress(DatabaseError):  # then it is over by itself, later
                self._link.lease.give_back()

    def _send(self, outbox: Turn) -> bool:
        if not self._database_wait.is_over:
            return False
        try:
            return outbox.turn()
        except DatabaseError as error:
            self._database_failed(error)
            return False

    def _tell_refusals(self, session: Session, told: set[str]) -> None:
        for doing, why in (("read", session.subscription_refused), ("write", session.publish_refused)):
            if why is not None and doing not in told:
                told.add(doing)
                _log.error("the broker refuses (%s): allow %s to %s", why, self._link.client_id, doing)

    def _take(self, session: Session) -> None:
        if not self._database_wait.is_over:
            self._drop_health()
        elif self._pending:
            self._store(session)

    def _drop_health(self) -> None:
        """While the database fails: of the rest the broker sends no more than it may, and health comes anew."""
        kept = [one for one in self._pending if one.mid is not None]
        for _ in range(len(self._pending) - len(kept)):
            self._ingest.refuse("overrun", "health that came while the database failed was dropped")
        self._pending = kept

    def _store(self, session: Session) -> None:
        try:
            self._ingest.take([one.arrived for one in self._pending])
        except DatabaseError as error:
            self._database_failed(error)
            return
        if self._failed:
            _log.info("the database takes what comes again")
        self._failed = False
        self._database_wait.reset()
        session.acknowledge(self._pending)
        self._pending = []

    def _routine(self) -> None:
        now = time.monotonic()
        if now >= self._flush_at and self._database_wait.is_over:
            self._flush()
            self._flush_at = now + self._settings.flush
        if now >= self._summary_at:
            self._sum_up()
            self._summary_at = now + self._settings.summary

    def _flush(self) -> None:
        try:
            self._ingest.flush(self._listening)
        except DatabaseError as error:
            self._database_failed(error)

    def _database_failed(self, error: DatabaseError) -> None:
        self._failed = True
        self._database_wait.longer()
        _log.error("%s; nothing is lost, the broker keeps what comes", error)

    def _idle(self, wait: Backoff) -> None:
        while not wait.is_over and not self._stopping() and self._may_talk():
            time.sleep(min(_TURN_SECONDS, wait.left))
            self._routine()

    def _sum_up(self) -> None:
        refused = {reason: count for reason, count in self._ingest.refused.items() if count}
        summed = (self._ingest.taken, sum(refused.values()))
        if summed != self._summed:
            last = f"; the last: {self._ingest.last_refusal}" if refused else ""
            _log.info("since the start %d messages were taken in, refused: %s%s", summed[0], refused or "none", last)
        self._summed = summed

    def _choose_version(self, error: ConnectError) -> None:
        self._hung_up += error.other_version == "perhaps"
        if error.other_version == "surely" or self._hung_up >= _PERHAPS:
            self._version = "3.1.1" if self._version == "5" else "5"
            self._hung_up = 0
