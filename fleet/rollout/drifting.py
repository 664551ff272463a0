"""The counts of a class before and after its boxes committed, held against those that still wait."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, func, literal, select

from fleet.rollout.siblings import BoxCounts, Drift, compare
from fleet.store.count_reports import BUCKET_MS
from fleet.store.tables import CAMERA_COUNT, ROLLOUT_DEVICE

_BEFORE_MS = 6 * 3_600_000  # of a box's past; what is longer ago was another time of the day
_MOST_BOXES = 400  # of each group: more make no interval narrower that matters
_HOUR = 3_600.0  # seconds


def drift(connection: Connection, rollout: int, hardware_class: str, max_drift: float) -> Drift:
    """Whether updated boxes of a class count otherwise than their siblings.

    Args:
        connection: that reads.
        rollout: its number.
        hardware_class: which boxes.
        max_drift: what is allowed; see `fleet.rollout.siblings.compare`.
    """
    updated = _boxes(connection, rollout, hardware_class, "committed")
    siblings = _boxes(connection, rollout, hardware_class, "waiting")
    if not updated or not siblings:
        return compare((), max_drift)
    middle = sorted(updated.values())[len(updated) // 2]  # of their commits: the instant of those that wait
    instants = {**updated, **dict.fromkeys(siblings, middle)}
    return compare(_counts(connection, instants, set(updated)), max_drift)


def _boxes(connection: Connection, rollout: int, hardware_class: str, state: str) -> dict[str, int]:
    """Boxes in a state, and since when."""
    table = ROLLOUT_DEVICE.c
    query = (
        select(table.device, table.changed_ms)
        .where(table.rollout == rollout, table.hardware_class == hardware_class, table.state == state)
        .order_by(table.wave, table.device)
        .limit(_MOST_BOXES)
    )
    return {row.device: row.changed_ms for row in connection.execute(query)}


def _counts(connection: Connection, instants: dict[str, int], updated: set[str]) -> list[BoxCounts]:
    table = CAMERA_COUNT.c
    instant = case(instants, value=table.device, else_=literal(0))
    crossings = table.crossings_in + table.crossings_out
    before = and_(table.start_ms + BUCKET_MS <= instant, table.start_ms >= instant - _BEFORE_MS)
    after = table.start_ms >= instant  # five minutes that hold the instant itself are of neither

    def total(what: ColumnElement[Any], where: ColumnElement[bool]) -> ColumnElement[float]:
        return func.coalesce(func.sum(case((where, what), else_=0)), 0)

    query = (
        select(
            table.device,
            total(crossings, before),
            total(table.observed_seconds, before),
            total(crossings, after),
            total(table.observed_seconds, after),
        )
        .where(table.device.in_(list(instants)), table.start_ms >= min(instants.values()) - _BEFORE_MS)
        .group_by(table.device)
        .order_by(table.device)
    )
    return [
        BoxCounts(device in updated, float(n), seconds / _HOUR, float(n_after), seconds_after / _HOUR)
        for device, n, seconds, n_after, seconds_after in connection.execute(query)
    ]
