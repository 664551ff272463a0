"""Boxes that failed lately: no rollout takes them for a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, delete, select

from fleet.store.tables import PENALTY
from fleet.store.upsert import insert_into


def punish(connection: Connection, ids: Mapping[str, str], now_ms: int, until_ms: int) -> None:
    """Have no rollout take boxes until a time; the reason of each."""
    rows = [
        {"device": device, "since_ms": now_ms, "until_ms": until_ms, "reason": reason}
        for device, reason in sorted(ids.items())
    ]
    if rows:
        insert_ = insert_into(connection, PENALTY)
        later = {name: insert_.excluded[name] for name in ("since_ms", "until_ms", "reason")}
        connection.execute(insert_.on_conflict_do_update(index_elements=["device"], set_=later), rows)


def pardon(connection: Connection, ids: Iterable[str]) -> None:
    """Let rollouts take boxes again."""
    connection.execute(delete(PENALTY).where(PENALTY.c.device.in_(sorted(set(ids)))))


def reason(connection: Connection, device: str, now_ms: int) -> str | None:
    """Why no rollout takes a box now; None where one may."""
    query = select(PENALTY.c.reason).where(PENALTY.c.device == device, PENALTY.c.until_ms > now_ms)
    return connection.scalar(query)


def punished(connection: Connection, now_ms: int) -> dict[str, str]:
    """Boxes that no rollout takes now, and why."""
    query = select(PENALTY.c.device, PENALTY.c.reason).where(PENALTY.c.until_ms > now_ms)
    return dict(connection.execute(query).all())
