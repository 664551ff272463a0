"""What has to be done for documents whenever there is time: working them out anew, and making them anew in time."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Connection

from fleet.inventory.device import Device
from fleet.store import stale
from fleet.store import wanted as store
from fleet.store.database import Database
from fleet.wanted.writing import Configure, WantedWriter

BATCH = 200
"""Boxes that are worked out in one transaction."""

_FIRST = (0, "")
_LOOK_MS = 60_000  # between two times that all documents are gone through

ConfigureFrom = Callable[[Connection], Configure]
"""Reads the layers, and gives what makes configurations of them."""


Then = Callable[[Connection, Mapping[str, Device], int], None]
"""Draws further conclusions of boxes that are new or changed, in the same transaction; the last is the time."""


def _nothing(_connection: Connection, _devices: Mapping[str, Device], _now_ms: int) -> None:
    """Nothing else follows."""


class Resolving:
    """Works out anew what boxes should run, of those that are marked.

    Args:
        database: theirs.
        writer: changes what boxes should run.
        configure_from: reads the layers.
        then: what else follows for these boxes.
    """

    def __init__(
        self, database: Database, writer: WantedWriter, configure_from: ConfigureFrom, then: Then = _nothing
    ) -> None:
        self._database = database
        self._writer = writer
        self._configure_from = configure_from
        self._then = then

    def turn(self, now_ms: int) -> bool:
        """Work some boxes off; whether more are likely to be there.

        Raises:
            DatabaseError: it cannot be written.
        """
        with self._database.reading() as connection:
            if not stale.any_stale(connection):
                return False
        with self._database.writing() as connection:
            devices = stale.take_stale(connection, BATCH)
            self._writer.write(connection, devices, self._configure_from(connection), now_ms)
            self._then(connection, devices, now_ms)
        return len(devices) == BATCH


class Reissuing:
    """Marks boxes whose documents expire in less than half of their lifetime, so that they are made anew.

    Args:
        database: theirs.
        lifetime_ms: of a document.
    """

    def __init__(self, database: Database, lifetime_ms: int) -> None:
        self._database = database
        self._lifetime_ms = lifetime_ms
        self._after = _FIRST
        self._looked_ms = 0

    def turn(self, now_ms: int) -> bool:
        """Mark some boxes; whether more are likely to be there.

        All are gone through page by page: documents that cannot be made anew, and so stay due, hold up no others.

        Raises:
            DatabaseError: it cannot be written.
        """
        if self._after == _FIRST and 0 <= now_ms - self._looked_ms < _LOOK_MS:
            return False
        before_ms = now_ms + self._lifetime_ms // 2
        with self._database.reading() as connection:
            due = store.expiring(connection, before_ms, self._after, BATCH)
        if due:
            with self._database.writing() as connection:
                stale.mark_stale(connection, [device for _, device in due], now_ms)
        self._after = due[-1] if len(due) == BATCH else _FIRST
        self._looked_ms = now_ms
        return len(due) == BATCH
