"""Taking a box out of the inventory, within a transaction; what it counted stays, for bills."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, delete, select, update

from fleet.store import rollouts
from fleet.store import wanted as wanted_store
from fleet.store.tables import CAMERA_COUNT, DEVICE, DEVICE_CHANGE, PENALTY, STALE, WANTED

_TABLES = (DEVICE, DEVICE_CHANGE, STALE, PENALTY)


def forget_device(connection: Connection, device: str, now_ms: int, why: str) -> bool:
    """Forget a box, and have what the broker keeps for it be taken back.

    What it should run is emptied, and keeps its revisions: where the box comes back one day, they go on.

    Args:
        connection: that writes.
        device: the box.
        now_ms: now.
        why: for the rollouts that it leaves.

    Returns:
        Whether it was known.
    """
    known = bool(wanted_store.lock_devices(connection, [device]))
    boxes = rollouts.active_boxes(connection, [device])
    left = [replace(box, state="withdrawn", reason=why, changed_ms=now_ms) for box in boxes]
    rollouts.move(connection, boxes, left)
    nothing = {"config": "", "models": "{}", "document": "", "problem": None, "ahead": False, "waits_ms": now_ms}
    connection.execute(update(WANTED).where(WANTED.c.device == device).values(**nothing))
    for table in _TABLES:
        connection.execute(delete(table).where(table.c.device == device))
    return known


def cameras_of(connection: Connection, device: str) -> list[str]:
    """The cameras that a box counted with, by id."""
    query = select(CAMERA_COUNT.c.camera).where(CAMERA_COUNT.c.device == device).distinct()
    return sorted(connection.scalars(query))
