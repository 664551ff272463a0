"""What happened in rollouts, for whoever asks why one stands where it does."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from fleet.store.tables import ROLLOUT_EVENT


@dataclass(frozen=True)
class RolloutEvent:
    """Something that happened in a rollout, of a class or of all of it."""

    at_ms: int
    hardware_class: str | None
    what: str
    detail: str


def add(connection: Connection, rollout: int, event: RolloutEvent) -> None:
    """Remember that something happened."""
    connection.execute(insert(ROLLOUT_EVENT).values(rollout=rollout, **event.__dict__))


def newest(connection: Connection, rollout: int, limit: int) -> list[RolloutEvent]:
    """What happened, newest first."""
    table = ROLLOUT_EVENT.c
    query = select(table.at_ms, table.hardware_class, table.what, table.detail).where(table.rollout == rollout)
    return [RolloutEvent(*row) for row in connection.execute(query.order_by(table.id.desc()).limit(limit))]
