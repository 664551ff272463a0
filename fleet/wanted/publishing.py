"""Documents on their way to the broker: each waits in the database until the broker has confirmed it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from contracts.topics import Channel, Topic
from fleet.store import wanted as store
from fleet.store.database import Database
from fleet.wanted.rules import Wanted

_WINDOW = 500  # documents that are under way at once


class Session(Protocol):
    """A connection that publishes; see `fleet.mqtt.Session`."""

    def publish(self, topic: str, payload: bytes) -> int:
        """Have the broker keep a message; its number."""

    def confirmed(self) -> list[int]:
        """The messages that the broker has taken since the last call."""

    def refused(self) -> list[int]:
        """The messages that it has not taken, and will not."""


class Outbox:
    """Publishes what waits; one for each connection.

    Args:
        database: where it waits.
        session: the connection.
    """

    def __init__(self, database: Database, session: Session) -> None:
        self._database = database
        self._session = session
        self._under_way: dict[int, Wanted] = {}
        self._refused: dict[str, str] = {}  # box to the document that the broker does not take from us

    def turn(self) -> bool:
        """Note what was confirmed, and send what waits; whether more waits than may be under way.

        Raises:
            DatabaseError: it cannot be used; what was confirmed is published again with the next connection.
        """
        confirmed = [self._under_way.pop(mid) for mid in self._session.confirmed() if mid in self._under_way]
        for mid in self._session.refused():
            if mid in self._under_way:  # it waits on, for the next connection; others get its place
                wanted = self._under_way.pop(mid)
                self._refused[wanted.device] = wanted.document
        if confirmed:
            with self._database.writing() as connection:
                store.published(connection, confirmed)
        room = _WINDOW - len(self._under_way)
        waiting = self._waiting(_WINDOW) if room > 0 else []
        for wanted in waiting[:room]:
            topic = str(Topic(wanted.device, Channel.DESIRED))
            self._under_way[self._session.publish(topic, wanted.document.encode())] = wanted
        return len(waiting) > room or room <= 0

    def _waiting(self, limit: int) -> Sequence[Wanted]:
        sent = self._refused | {wanted.device: wanted.document for wanted in self._under_way.values()}
        with self._database.reading() as connection:
            waiting = store.waiting(connection, limit + len(sent))
        return [wanted for wanted in waiting if sent.get(wanted.device) != wanted.document]
