"""Boxes of rollouts, locked; whoever changes them locks the boxes themselves first (`wanted.lock_devices`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from sqlalchemy import ColumnElement, Connection, exists, false, func, select

from fleet.rollout.boxes import REFUSED
from fleet.rollout.spec import RolloutSpec
from fleet.store.rollouts import Place, RolloutBox, read_box
from fleet.store.tables import DEVICE, PENALTY, ROLLOUT, ROLLOUT_DEVICE

_BATCH = 500  # ids in one statement


def lock_boxes(connection: Connection, rollout: int, ids: Iterable[str]) -> list[RolloutBox]:
    """What boxes are to a rollout, and to others that have something to do for them still; by box and rollout."""
    table = ROLLOUT_DEVICE.c
    names = sorted(set(ids))
    goes_on = ROLLOUT.c.ended_ms.is_(None) | table.state.in_(("waiting", "offered", "reverting"))
    query = (
        select(ROLLOUT_DEVICE)
        .join(ROLLOUT, ROLLOUT.c.id == table.rollout)
        .where((table.rollout == rollout) | goes_on)
        .order_by(table.device, table.rollout)
        .with_for_update(of=ROLLOUT_DEVICE)
    )
    batches = (names[start : start + _BATCH] for start in range(0, len(names), _BATCH))
    return [read_box(row) for batch in batches for row in connection.execute(query.where(table.device.in_(batch)))]


def later_boxes(
    connection: Connection, rollout: int, hardware_class: str, wave: int, now_ms: int, limit: int
) -> list[str]:
    """Boxes of a class that wait for waves after one: those without a penalty first, then those that are online."""
    table = ROLLOUT_DEVICE.c
    query = (
        select(table.device)
        .join(DEVICE, DEVICE.c.device == table.device)
        .where(table.rollout == rollout, table.hardware_class == hardware_class)
        .where(table.state == "waiting", table.wave > wave)
        .order_by(_punished(now_ms), func.coalesce(DEVICE.c.online, false()).desc(), table.wave, table.device)
    )
    return list(connection.scalars(query.limit(limit)))


def held(connection: Connection, rollout: int, now_ms: int) -> Counter[Place]:
    """How many boxes wait for the end of a penalty until they are offered the release for the first time."""
    table = ROLLOUT_DEVICE.c
    keys = (table.rollout, table.hardware_class, table.wave, table.state)
    query = select(*keys, func.count()).where(table.rollout == rollout, table.state == "waiting")
    rows = connection.execute(query.where(table.model_revision == 0, _punished(now_ms)).group_by(*keys))
    return Counter({Place(*row[:4]): row[4] for row in rows})


def forgiven(connection: Connection, rollout: int) -> Counter[Place]:
    """How many boxes failed and were forgiven."""
    table = ROLLOUT_DEVICE.c
    keys = (table.rollout, table.hardware_class, table.wave, table.state)
    query = select(*keys, func.count()).where(table.rollout == rollout, table.state.in_(REFUSED))
    return Counter({Place(*row[:4]): row[4] for row in connection.execute(query.where(table.forgiven).group_by(*keys))})


def _punished(now_ms: int) -> ColumnElement[bool]:
    """Whether a box of a rollout failed lately, in whatever rollout."""
    return exists().where(PENALTY.c.device == ROLLOUT_DEVICE.c.device, PENALTY.c.until_ms > now_ms)


def spec_of(connection: Connection, rollout: int) -> RolloutSpec:
    """The spec of a rollout that is there."""
    return _parsed(str(connection.scalar(select(ROLLOUT.c.spec).where(ROLLOUT.c.id == rollout))))


@lru_cache(maxsize=64)
def _parsed(text: str) -> RolloutSpec:
    """A spec never changes, and is read with every batch of messages."""
    return RolloutSpec.model_validate_json(text)


def unreached(connection: Connection, rollout: int, hardware_class: str, limit: int) -> list[RolloutBox]:
    """Boxes that were offered the release and offline ever since, of which it is known what they ran before."""
    table = ROLLOUT_DEVICE.c
    heard = func.coalesce(DEVICE.c.last_seen_ms >= table.offered_ms, false())
    query = (
        select(ROLLOUT_DEVICE)
        .join(DEVICE, DEVICE.c.device == table.device)
        .where(
            table.rollout == rollout,
            table.hardware_class == hardware_class,
            table.state == "offered",
            table.previous.is_not(None),
            DEVICE.c.online.is_not(True),
            ~heard,
        )
        .order_by(table.wave, table.device)
    )
    return [read_box(row) for row in connection.execute(query.limit(limit))]
