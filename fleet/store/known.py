"""Every box in memory, for who asks for all of them again and again: parsed anew only where it changed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from sqlalchemy import select

from fleet.inventory.device import Device
from fleet.store.database import Database
from fleet.store.devices import StoredDevice, read_known
from fleet.store.tables import DEVICE

FRESH_SECONDS = 1.0
"""Who asks within it gets what was read for the one before."""

_PAGE = 1_000  # rows that are fetched at once


class KnownDevices:
    """The boxes of a database; for use by several threads at once.

    Args:
        database: that holds them.
        clock: seconds, monotonic.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._read_at: float | None = None
        self._texts: dict[str, str] = {}
        self._all: tuple[StoredDevice, ...] = ()

    def all(self) -> Sequence[StoredDevice]:
        """Every box by its id, at most `FRESH_SECONDS` old; the same object while nothing was read.

        Raises:
            DatabaseError: it cannot be read.
        """
        with self._lock:
            if self._read_at is None or self._clock() - self._read_at >= FRESH_SECONDS:
                self._read()
                self._read_at = self._clock()
            return self._all

    def _read(self) -> None:
        before = {stored.device.device: stored.device for stored in self._all}
        texts: dict[str, str] = {}
        found: list[StoredDevice] = []
        with self._database.reading() as connection:
            streamed = connection.execution_options(yield_per=_PAGE)
            columns = (DEVICE.c.device, DEVICE.c.known, DEVICE.c.first_heard_ms, DEVICE.c.last_seen_ms)
            for name, text, first, last in streamed.execute(select(*columns).order_by(DEVICE.c.device)):
                known = before.get(name)
                same = known is not None and self._texts.get(name) == text
                device: Device = known if known is not None and same else read_known(name, text)
                texts[name] = text
                found.append(StoredDevice(device, first, last))
        self._texts, self._all = texts, tuple(found)
