"""Boxes whose wanted document is to be worked out anew; noted in the transaction that changes what it is made of."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import BigInteger, ColumnElement, Connection, bindparam, delete, literal, select, true

from fleet.inventory.device import Device
from fleet.store.tables import DEVICE, STALE
from fleet.store.upsert import insert_into
from fleet.store.wanted import lock_devices

_BATCH = 500  # ids in one statement; SQLite takes 32 766 parameters, others fewer


def mark_stale(connection: Connection, devices: Iterable[str], now_ms: int) -> None:
    """Have the documents of some boxes worked out anew; ids that are not known are passed over."""
    ids = sorted(set(devices))
    for start in range(0, len(ids), _BATCH):
        _mark(connection, DEVICE.c.device.in_(ids[start : start + _BATCH]), now_ms)


def mark_all_stale(connection: Connection, now_ms: int) -> None:
    """Have the documents of all boxes worked out anew."""
    _mark(connection, true(), now_ms)


def any_stale(connection: Connection) -> bool:
    """Whether boxes are to be worked out anew."""
    return connection.scalar(select(STALE.c.device).limit(1)) is not None


def is_stale(connection: Connection, device: str) -> bool:
    """Whether a box is to be worked out anew."""
    return connection.scalar(select(STALE.c.device).where(STALE.c.device == device)) is not None


def take_stale(connection: Connection, limit: int) -> dict[str, Device]:
    """Boxes to work out anew, the longest waiting first, locked; they are off the list once the transaction ends well.

    No two programs take the same ones at a time.
    """
    query = select(STALE.c.device, STALE.c.since_ms).order_by(STALE.c.since_ms, STALE.c.device).limit(limit)
    marks = dict(connection.execute(query).all())
    devices = lock_devices(connection, marks, skip_locked=True)
    rows = [{"of": device, "since": marks[device]} for device in devices]
    if rows:
        # One that was marked again since is not taken off: what is read from here on may be older than its change.
        mark = (STALE.c.device == bindparam("of"), STALE.c.since_ms == bindparam("since"))
        connection.execute(delete(STALE).where(*mark), rows)
    return devices


def _mark(connection: Connection, which: ColumnElement[bool], now_ms: int) -> None:
    chosen = select(DEVICE.c.device, literal(now_ms, BigInteger)).where(which).order_by(DEVICE.c.device)
    added = insert_into(connection, STALE).from_select(["device", "since_ms"], chosen)
    # A mark that is there changes, too: whoever works on that box has to see that his is not the last word.
    later = {"since_ms": STALE.c.since_ms + 1}
    connection.execute(added.on_conflict_do_update(index_elements=["device"], set_=later))
