"""Rollouts counted, and those that a box is in."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from fleet.rollout.boxes import BoxState
from fleet.rollout.rules import RolloutState
from fleet.store import rollouts
from fleet.store.rollouts import Rollout, RolloutBox
from fleet.store.tables import ROLLOUT, ROLLOUT_COUNT


def by_state(connection: Connection) -> dict[RolloutState, int]:
    """State to how many rollouts are in it; those that none is in lack."""
    rows = connection.execute(select(ROLLOUT.c.state, func.count()).group_by(ROLLOUT.c.state))
    return dict(rows.all())


def boxes_of_going(connection: Connection) -> dict[tuple[str, BoxState], int]:
    """Hardware class and state to how many boxes of rollouts that did not end are in it."""
    table = ROLLOUT_COUNT.c
    query = (
        select(table.hardware_class, table.state, func.sum(table.n))
        .join(ROLLOUT, ROLLOUT.c.id == table.rollout)
        .where(ROLLOUT.c.ended_ms.is_(None))
        .group_by(table.hardware_class, table.state)
    )
    return {(name, state): int(n) for name, state, n in connection.execute(query) if n}


@dataclass(frozen=True)
class Membership:
    """A rollout that a box is or was in, and how the box stands in it."""

    rollout: Rollout
    box: RolloutBox


def of_device(connection: Connection, device: str, limit: int) -> list[Membership]:
    """Rollouts that a box is or was in, newest first."""
    boxes = rollouts.of_device(connection, device, limit)
    found = [(rollouts.get(connection, box.rollout), box) for box in boxes]
    return [Membership(rollout, box) for rollout, box in found if rollout is not None]
