"""How much waits to be done, counted for who watches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import func, select

from fleet.rollout.boxes import BoxState
from fleet.rollout.rules import RolloutState
from fleet.store import rollout_counts
from fleet.store.database import Database
from fleet.store.sessions import LONGEST_MS
from fleet.store.tables import PENALTY, SESSION, STALE, WANTED
from fleet.store.wanted import count_ahead


@dataclass(frozen=True)
class Waiting:
    """What there is to do.

    Args:
        stale: boxes whose document is to be worked out anew.
        documents: that are to be published.
        oldest_seconds: how long the oldest of them waits; None where none does.
        penalties: boxes that no rollout takes for now.
        sessions: of the console that were not ended.
        ahead: boxes that were given newer documents than this database knows.
        rollouts: state to how many are in it; those that none is in lack.
        rollout_boxes: hardware class and state to boxes of rollouts that did not end.
    """

    stale: int
    documents: int
    oldest_seconds: float | None
    penalties: int
    sessions: int
    ahead: int = 0
    rollouts: Mapping[RolloutState, int] = field(default_factory=dict)
    rollout_boxes: Mapping[tuple[str, BoxState], int] = field(default_factory=dict)


def waiting(database: Database, now_ms: int) -> Waiting:
    """Count it.

    Raises:
        DatabaseError: it cannot be read.
    """
    with database.reading() as connection:
        stale = connection.scalar(select(func.count()).select_from(STALE)) or 0
        waits = select(func.count(), func.min(WANTED.c.waits_ms)).where(WANTED.c.waits_ms.is_not(None))
        documents, oldest = connection.execute(waits).one()
        penalties = connection.scalar(select(func.count()).where(PENALTY.c.until_ms > now_ms)) or 0
        sessions = connection.scalar(select(func.count()).where(SESSION.c.created_ms > now_ms - LONGEST_MS)) or 0
        ahead, by_state = count_ahead(connection), rollout_counts.by_state(connection)
        boxes = rollout_counts.boxes_of_going(connection)
    seconds = None if oldest is None else max(0, now_ms - oldest) / 1000
    return Waiting(stale, documents, seconds, penalties, sessions, ahead, by_state, boxes)
