"""Boxes in the database: what is known of each, when it was last seen, and what changed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import ValidationError
from sqlalchemy import ColumnElement, Connection, Delete, Row, bindparam, delete, func, insert, or_, select, update

from fleet.inventory.device import Change, Device
from fleet.store import enrolment, settings
from fleet.store.database import Database
from fleet.store.set_back import forget_what_is_to_come
from fleet.store.settings import Listening
from fleet.store.tables import DEVICE, DEVICE_CHANGE

_log = logging.getLogger(__name__)

CHANGES_KEPT = 200
"""Changes that are kept of a box, the newest: one that flaps all day fills no disk."""

_BATCH = 500  # ids in one statement
_PAGE = 1_000  # rows that are fetched at once


@dataclass(frozen=True)
class StoredDevice:
    """A box as it is stored; times are milliseconds since 1970, ``last_seen_ms`` None where it was never heard live."""

    device: Device
    first_heard_ms: int
    last_seen_ms: int | None


@dataclass(frozen=True)
class StoredChange:
    """A change, and when it was heard of."""

    at_ms: int
    change: Change


@dataclass(frozen=True)
class Told:
    """What is to be stored of one box.

    Args:
        device: what is known of it now.
        first_ms: when the first message of it came, of those that are stored now.
        at_ms: when the last one came.
        seen: whether a message came from the box itself, and not from the broker's memory or as a will.
        changes: since it was stored last, with the time of each.
        greeted: whether a ``hello`` was among the messages.
    """

    device: Device
    first_ms: int
    at_ms: int
    seen: bool
    changes: Sequence[StoredChange] = ()
    greeted: bool = False


Work = Callable[[Mapping[str, Device]], Iterable[Told]]
"""Given what is known of some boxes, says what is to be stored."""


class Observer(Protocol):
    """Draws conclusions from what boxes told, in the transaction that stores it."""

    def __call__(self, connection: Connection, told: Sequence[Told], known: Mapping[str, Device]) -> None:
        """Boxes told something.

        Args:
            connection: that writes; it holds these boxes.
            told: what they told.
            known: what was known of them before, those lacking that are new.
        """


class DeviceStore:
    """The boxes of a database.

    Args:
        database: theirs.
        observers: of what they tell.
    """

    def __init__(self, database: Database, observers: Sequence[Observer] = ()) -> None:
        self._database = database
        self._observers = tuple(observers)

    def change(self, ids: Iterable[str], work: Work) -> None:
        """Change some boxes, in one transaction: all of it is on the disk once this returned, or nothing.

        Nobody else changes the same boxes meanwhile.

        Raises:
            DatabaseError: it cannot be written.
            RejectedError: it does not take these values.
        """
        with self._database.writing() as connection:
            query = select(DEVICE.c.device, DEVICE.c.known).where(DEVICE.c.device.in_(sorted(set(ids))))
            rows = connection.execute(query.order_by(DEVICE.c.device).with_for_update())
            known = {device: read_known(device, text) for device, text in rows}
            told = list(work(known))
            _write(connection, [each for each in told if each.device.device in known], new=False)
            _write(connection, [each for each in told if each.device.device not in known], new=True)
            _remember(connection, told)
            for observe in self._observers if told else ():
                observe(connection, told, known)

    def seen(self, times: Mapping[str, int], listening: Listening | None = None) -> None:
        """Note when boxes were last seen, in milliseconds since 1970; an older time than is known changes nothing.

        Where the clock was set back since, times that are still to come are forgotten.

        Args:
            times: of boxes.
            listening: how long they have been listened to, where they are.

        Raises:
            DatabaseError: it cannot be written.
        """
        if not times and listening is None:
            return
        later = or_(DEVICE.c.last_seen_ms.is_(None), DEVICE.c.last_seen_ms < bindparam("at"))
        statement = update(DEVICE).where(DEVICE.c.device == bindparam("id"), later).values(last_seen_ms=bindparam("at"))
        rows = [{"id": device, "at": at} for device, at in sorted(times.items())]
        with self._database.writing() as connection:
            if rows:
                connection.execute(statement, rows)
            if listening is not None:
                before = settings.listening(connection)
                if before is not None and before.until_ms > listening.until_ms:
                    forget_what_is_to_come(connection, listening.until_ms)
                settings.set_listening(connection, listening)

    def count(self) -> int:
        """How many boxes are known.

        Raises:
            DatabaseError: it cannot be read.
        """
        with self._database.reading() as connection:
            return connection.scalar(select(func.count()).select_from(DEVICE)) or 0

    def barred(self, ids: Iterable[str]) -> frozenset[str]:
        """Those of some boxes that were decommissioned.

        Raises:
            DatabaseError: it cannot be read.
        """
        with self._database.reading() as connection:
            return enrolment.barred(connection, ids)

    def all(self) -> Iterator[StoredDevice]:
        """Every box, by its id.

        Raises:
            DatabaseError: it cannot be read.
        """
        with self._database.reading() as connection:
            streamed = connection.execution_options(yield_per=_PAGE)
            yield from map(_stored, streamed.execute(select(DEVICE).order_by(DEVICE.c.device)))

    def get(self, device: str) -> StoredDevice | None:
        """One box, None where it is not known.

        Raises:
            DatabaseError: it cannot be read.
        """
        with self._database.reading() as connection:
            row = connection.execute(select(DEVICE).where(DEVICE.c.device == device)).one_or_none()
            return None if row is None else _stored(row)

    def changes(self, device: str, limit: int = CHANGES_KEPT) -> list[StoredChange]:
        """What changed of a box, newest first.

        Raises:
            DatabaseError: it cannot be read.
        """
        table = DEVICE_CHANGE.c
        query = select(table.at_ms, table.what, table.before, table.after).where(table.device == device)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(table.id.desc()).limit(limit)).all()
        return [StoredChange(at_ms, Change(what, before, after)) for at_ms, what, before, after in rows]


def _write(connection: Connection, told: Sequence[Told], *, new: bool) -> None:
    if not told:
        return
    rows = [
        {
            "id": each.device.device,
            "hardware_class": each.device.hardware_class,
            "known": each.device.model_dump_json(),
            "online": each.device.online,
            "seen": each.at_ms if each.seen else None,
            "first": each.first_ms,
        }
        for each in sorted(told, key=lambda each: each.device.device)
    ]
    names = ("hardware_class", "known", "online")
    values: dict[str, ColumnElement[Any]] = {name: bindparam(name) for name in names}
    if new:
        extra: dict[str, ColumnElement[Any]] = {
            "device": bindparam("id"),
            "first_heard_ms": bindparam("first"),
            "last_seen_ms": bindparam("seen"),
        }
        connection.execute(insert(DEVICE).values(**values, **extra), rows)
    else:
        seen = func.coalesce(bindparam("seen", type_=DEVICE.c.last_seen_ms.type), DEVICE.c.last_seen_ms)
        connection.execute(
            update(DEVICE).where(DEVICE.c.device == bindparam("id")).values(**values, last_seen_ms=seen), rows
        )


def _remember(connection: Connection, told: Sequence[Told]) -> None:
    rows = [
        {"device": each.device.device, "at_ms": one.at_ms, **one.change._asdict()}
        for each in told
        for one in each.changes
    ]
    if not rows:
        return
    connection.execute(insert(DEVICE_CHANGE), rows)
    ids = sorted({each.device.device for each in told if each.changes})
    table = DEVICE_CHANGE.c
    query = select(table.device).where(table.device.in_(ids)).group_by(table.device)
    full = connection.scalars(query.having(func.count() > CHANGES_KEPT))  # of most boxes there is nothing to remove
    too_many = [{"of": device} for device in full]
    if too_many:
        connection.execute(_FORGET, too_many)


def _forget() -> Delete:
    """Remove the changes of a box that are too many; one statement for all boxes that have them."""
    table = DEVICE_CHANGE.c
    of_it = table.device == bindparam("of")
    newest_gone = select(table.id).where(of_it).order_by(table.id.desc()).limit(1).offset(CHANGES_KEPT)
    return delete(DEVICE_CHANGE).where(of_it, table.id <= newest_gone.scalar_subquery())


_FORGET = _forget()


def _stored(row: Row[tuple[str, int, int | None, str, str]]) -> StoredDevice:
    return StoredDevice(read_known(row.device, row.known), row.first_heard_ms, row.last_seen_ms)


def known_of(connection: Connection, ids: Iterable[str]) -> dict[str, Device]:
    """What is known of some boxes; those lack that are not known."""
    names = sorted(set(ids))
    batches = (names[start : start + _BATCH] for start in range(0, len(names), _BATCH))
    query = select(DEVICE.c.device, DEVICE.c.known)
    rows = (row for batch in batches for row in connection.execute(query.where(DEVICE.c.device.in_(batch))))
    return {device: read_known(device, text) for device, text in rows}


def read_known(device: str, text: str) -> Device:
    """What is known of a box; nothing where a newer version wrote what this one does not know: it tells it again."""
    try:
        return Device.model_validate_json(text)
    except ValidationError:
        _log.warning("what is stored of %s cannot be read; it is known once the box tells it again", device)
        return Device(device=device)
