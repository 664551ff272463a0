"""Rollouts in the database: their specs, how each hardware class and each box stands, and how many stand how."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, cast

from sqlalchemy import Connection, Row, Select, bindparam, func, insert, select, union, update

from contracts.desired import DesiredModel
from fleet.rollout.boxes import BoxState
from fleet.rollout.rules import ClassState, RolloutState
from fleet.rollout.spec import RolloutSpec
from fleet.store.tables import DEVICE, PENALTY, ROLLOUT, ROLLOUT_CLASS, ROLLOUT_COUNT, ROLLOUT_DEVICE
from fleet.store.upsert import insert_into


@dataclass(frozen=True)
class Rollout:
    """A rollout as it is stored.

    Args:
        id: its number.
        spec: what it was asked to do.
        state: where it stands.
        reason: why, in words; empty where nothing needs explaining.
        revision: counts the changes that people made, from 1.
        created_ms: when, milliseconds since 1970.
        created_by: who.
        ended_ms: when it ended, None while it goes on.
    """

    id: int
    spec: RolloutSpec
    state: RolloutState
    reason: str
    revision: int
    created_ms: int
    created_by: str
    ended_ms: int | None


@dataclass(frozen=True)
class RolloutClass:
    """A hardware class of a rollout.

    Args:
        hardware_class: its name.
        state: where it stands.
        wave: the newest that is open, from 0; -1 before the first.
        opened_ms: when that was opened.
        soaking_ms: since when nobody is pending.
        reason: why it stands there.
    """

    hardware_class: str
    state: ClassState
    wave: int = -1
    opened_ms: int | None = None
    soaking_ms: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class RolloutBox:
    """A box of a rollout.

    Args:
        rollout: its number.
        device: the box.
        hardware_class: at the time of the planning: it stays in its class.
        wave: that it gets the release in.
        changed_ms: when its state changed last.
        state: how it stands.
        attempts: how often it was offered, or told to go back.
        model_revision: that it was offered under last, or is taken back under; 0 before.
        offered_ms: when it was offered last.
        code: why it stands there.
        reason: in words.
        previous: the model that the slot should run before; None where that is not known.
        forgiven: whether a person accepted that it failed or is silent; no more once its state changes.
    """

    rollout: int
    device: str
    hardware_class: str
    wave: int
    changed_ms: int
    state: BoxState = "waiting"
    attempts: int = 0
    model_revision: int = 0
    offered_ms: int | None = None
    code: str | None = None
    reason: str = ""
    previous: DesiredModel | None = None
    forgiven: bool = False


class Offered(NamedTuple):
    """A box that came to no end; times are milliseconds since 1970."""

    device: str
    hardware_class: str
    wave: int
    offered_ms: int
    forgiven: bool
    last_seen_ms: int | None
    online: bool | None


class Place(NamedTuple):
    """What boxes are counted by."""

    rollout: int
    hardware_class: str
    wave: int
    state: BoxState


def create(connection: Connection, spec: RolloutSpec, state: RolloutState, created_by: str, now_ms: int) -> int:
    """Make a rollout without boxes; its number."""
    values = {
        "spec": spec.model_dump_json(),
        "state": state,
        "reason": "",
        "revision": 1,
        "created_ms": now_ms,
        "created_by": created_by,
        "ended_ms": None,
    }
    found = connection.execute(insert(ROLLOUT).values(values)).inserted_primary_key
    assert found is not None
    return int(found[0])


def add_boxes(connection: Connection, boxes: Sequence[RolloutBox]) -> None:
    """Add boxes, and count them."""
    if boxes:
        connection.execute(insert(ROLLOUT_DEVICE), [_box_row(box) for box in boxes])
        count(connection, Counter(place(box) for box in boxes))


def add_classes(connection: Connection, rollout: int, classes: Sequence[RolloutClass]) -> None:
    """Add hardware classes."""
    if classes:
        connection.execute(insert(ROLLOUT_CLASS), [_class_row(rollout, each) for each in classes])


def get(connection: Connection, rollout: int) -> Rollout | None:
    """A rollout, None where there is none of this number."""
    row = connection.execute(select(ROLLOUT).where(ROLLOUT.c.id == rollout)).one_or_none()
    return None if row is None else _read(row)


def lock(connection: Connection, rollout: int, *, skip_locked: bool = False) -> Rollout | None:
    """A rollout that nobody else changes until the transaction ends.

    Args:
        connection: that writes.
        rollout: its number.
        skip_locked: give None where another program changes it; else it is waited for.
    """
    query = select(ROLLOUT).where(ROLLOUT.c.id == rollout).with_for_update(skip_locked=skip_locked)
    row = connection.execute(query).one_or_none()
    return None if row is None else _read(row)


def newest(connection: Connection, limit: int | None, states: Iterable[RolloutState] = ()) -> list[Rollout]:
    """Rollouts, newest first; of some states only, where any are named."""
    query = select(ROLLOUT).order_by(ROLLOUT.c.id.desc()).limit(limit)
    wanted = tuple(states)
    rows = connection.execute(query.where(ROLLOUT.c.state.in_(wanted)) if wanted else query)
    return [_read(row) for row in rows]


def going_on(connection: Connection) -> list[int]:
    """Rollouts that have something to do: those that did not end, and those that boxes joined since they did."""
    states = ("running", "halted", "reverting", "aborted")
    open_ = select(ROLLOUT.c.id).where(ROLLOUT.c.ended_ms.is_(None), ROLLOUT.c.state.in_(states))
    late = (
        select(ROLLOUT_COUNT.c.rollout)
        .join(ROLLOUT, ROLLOUT.c.id == ROLLOUT_COUNT.c.rollout)
        .where(ROLLOUT.c.state == "completed", ROLLOUT_COUNT.c.state == "waiting", ROLLOUT_COUNT.c.n > 0)
    )
    return sorted(connection.scalars(union(open_, late)))


def standing(connection: Connection) -> list[Rollout]:
    """Standing rollouts that boxes may join, newest first."""
    return [each for each in newest(connection, None, ("running", "completed")) if each.spec.standing]


def newest_of_slots(connection: Connection, ids: Iterable[str]) -> dict[tuple[str, str], int]:
    """Box and slot to the newest rollout that it is in."""
    table = ROLLOUT_DEVICE.c
    query = (
        select(table.device, ROLLOUT.c.spec, table.rollout)
        .join(ROLLOUT, ROLLOUT.c.id == table.rollout)
        .where(table.device.in_(sorted(set(ids))))
        .order_by(table.rollout)
    )
    return {
        (device, RolloutSpec.model_validate_json(spec).slot): rollout
        for device, spec, rollout in connection.execute(query)
    }


def set_state(connection: Connection, rollout: Rollout) -> None:
    """Store where a rollout stands: its state, the reason, its revision, and when it ended."""
    names = ("state", "reason", "revision", "ended_ms")
    values = {name: getattr(rollout, name) for name in names}
    connection.execute(update(ROLLOUT).where(ROLLOUT.c.id == rollout.id).values(values))


def classes(connection: Connection, rollout: int) -> list[RolloutClass]:
    """The hardware classes of a rollout, by name."""
    query = select(ROLLOUT_CLASS).where(ROLLOUT_CLASS.c.rollout == rollout).order_by(ROLLOUT_CLASS.c.hardware_class)
    names = [column.name for column in ROLLOUT_CLASS.columns if column.name != "rollout"]
    return [RolloutClass(**{name: getattr(row, name) for name in names}) for row in connection.execute(query)]


def save_class(connection: Connection, rollout: int, changed: RolloutClass) -> None:
    """Change how a hardware class stands."""
    this = (ROLLOUT_CLASS.c.rollout == rollout, ROLLOUT_CLASS.c.hardware_class == changed.hardware_class)
    connection.execute(update(ROLLOUT_CLASS).where(*this).values(_class_row(rollout, changed)))


def tally(connection: Connection, rollout: int) -> Counter[Place]:
    """How many boxes of a rollout stand how."""
    query = select(ROLLOUT_COUNT).where(ROLLOUT_COUNT.c.rollout == rollout, ROLLOUT_COUNT.c.n != 0)
    return Counter({Place(*row[:4]): row.n for row in connection.execute(query)})


def count(connection: Connection, moves: Mapping[Place, int]) -> None:
    """Add to the numbers of boxes; always in one order, so that two programs never wait for each other."""
    rows = [{**at._asdict(), "n": n} for at, n in sorted(moves.items()) if n]
    if rows:
        insert_ = insert_into(connection, ROLLOUT_COUNT)
        added = {"n": ROLLOUT_COUNT.c.n + insert_.excluded.n}
        keys = ["rollout", "hardware_class", "wave", "state"]
        connection.execute(insert_.on_conflict_do_update(index_elements=keys, set_=added), rows)


def offered(connection: Connection, rollout: int) -> Iterator[Offered]:
    """Boxes that came to no end."""
    table = ROLLOUT_DEVICE.c
    offered_ms = func.coalesce(table.offered_ms, 0)
    query = (
        select(
            table.device,
            table.hardware_class,
            table.wave,
            offered_ms,
            table.forgiven,
            DEVICE.c.last_seen_ms,
            DEVICE.c.online,
        )
        .join(DEVICE, DEVICE.c.device == table.device)
        .where(table.rollout == rollout, table.state == "offered")
    )
    yield from (Offered(*row) for row in connection.execute(query))


def boxes_in(
    connection: Connection, rollout: int, hardware_class: str, states: Iterable[BoxState], wave: int, limit: int | None
) -> list[RolloutBox]:
    """Boxes of a class and the waves up to one, that stand in some states, the earliest wave first."""
    table = ROLLOUT_DEVICE.c
    query = select(ROLLOUT_DEVICE).where(
        table.rollout == rollout,
        table.hardware_class == hardware_class,
        table.state.in_(tuple(states)),
        table.wave <= wave,
    )
    rows = connection.execute(query.order_by(table.wave, table.device).limit(limit))
    return [read_box(row) for row in rows]


def offerable(
    connection: Connection, rollout: int, hardware_class: str, wave: int, now_ms: int, limit: int
) -> list[RolloutBox]:
    """Boxes that wait for the release in open waves; those that failed lately wait on."""
    table = ROLLOUT_DEVICE.c
    punished = select(PENALTY.c.device).where(PENALTY.c.device == table.device, PENALTY.c.until_ms > now_ms)
    query = (
        select(ROLLOUT_DEVICE)
        .where(
            table.rollout == rollout,
            table.hardware_class == hardware_class,
            table.state == "waiting",
            table.wave <= wave,
            ~punished.exists() | (table.model_revision > 0),
        )
        .order_by(table.wave, table.device)
        .limit(limit)
    )
    return [read_box(row) for row in connection.execute(query)]


def boxes(connection: Connection, rollout: int, limit: int | None, states: Iterable[BoxState] = ()) -> list[RolloutBox]:
    """Boxes of a rollout, the latest change first; in some states only, where any are named."""
    table = ROLLOUT_DEVICE.c
    wanted = tuple(states)
    query = select(ROLLOUT_DEVICE).where(table.rollout == rollout)
    query = query.where(table.state.in_(wanted)) if wanted else query
    return [read_box(row) for row in connection.execute(query.order_by(table.changed_ms.desc()).limit(limit))]


def of_device(connection: Connection, device: str, limit: int) -> list[RolloutBox]:
    """What a box is to the newest rollouts that it is in."""
    table = ROLLOUT_DEVICE.c
    query = select(ROLLOUT_DEVICE).where(table.device == device).order_by(table.rollout.desc()).limit(limit)
    return [read_box(row) for row in connection.execute(query)]


def active_boxes(connection: Connection, ids: Iterable[str]) -> list[RolloutBox]:
    """What boxes are to rollouts that go on, and to others where they came to no end yet; locked."""
    table = ROLLOUT_DEVICE.c
    query: Select[tuple[object, ...]] = (
        select(ROLLOUT_DEVICE)
        .join(ROLLOUT, ROLLOUT.c.id == table.rollout)
        .where(
            table.device.in_(sorted(set(ids))), ROLLOUT.c.ended_ms.is_(None) | table.state.in_(("offered", "reverting"))
        )
        .order_by(table.device, table.rollout)
        .with_for_update(of=ROLLOUT_DEVICE)
    )
    return [read_box(row) for row in connection.execute(query)]


def move(connection: Connection, before: Sequence[RolloutBox], after: Sequence[RolloutBox]) -> None:
    """Change how boxes stand, and the numbers with it; what was forgiven of a state is not of another one.

    Args:
        connection: that writes; it holds these boxes.
        before: as they are stored.
        after: the same boxes in the same order, as they are to be stored.
    """
    fresh = (
        new if new.state == old.state else replace(new, forgiven=False) for old, new in zip(before, after, strict=True)
    )
    pairs = [(old, new) for old, new in zip(before, fresh, strict=True) if old != new]
    if not pairs:
        return
    rows = [{**_box_row(new), "of_rollout": new.rollout, "of_device": new.device} for _, new in pairs]
    names = [column.name for column in ROLLOUT_DEVICE.columns if not column.primary_key]
    this = (ROLLOUT_DEVICE.c.rollout == bindparam("of_rollout"), ROLLOUT_DEVICE.c.device == bindparam("of_device"))
    statement = update(ROLLOUT_DEVICE).where(*this).values({name: bindparam(name) for name in names})
    connection.execute(statement, rows)
    moves = Counter(place(new) for _, new in pairs)
    moves.subtract(place(old) for old, _ in pairs)
    count(connection, moves)


def taken(connection: Connection, slot: str) -> dict[str, int]:
    """Boxes whose slot a rollout that goes on changes, and its number."""
    rows = connection.execute(select(ROLLOUT.c.id, ROLLOUT.c.spec).where(ROLLOUT.c.ended_ms.is_(None)))
    ids = [number for number, spec in rows if RolloutSpec.model_validate_json(spec).slot == slot]
    table = ROLLOUT_DEVICE.c
    # One that is yet to go back would block a box that is away for months; a later wish supersedes that.
    done: tuple[BoxState, ...] = ("superseded", "reverting", "reverted", "withdrawn")
    query = select(table.device, table.rollout).where(table.rollout.in_(ids), table.state.not_in(done))
    return dict(connection.execute(query).all())


def place(box: RolloutBox) -> Place:
    """Where a box is counted."""
    return Place(box.rollout, box.hardware_class, box.wave, box.state)


def _read(row: Row[tuple[object, ...]]) -> Rollout:
    plain = {column.name: getattr(row, column.name) for column in ROLLOUT.columns}
    return Rollout(**{**plain, "spec": RolloutSpec.model_validate_json(row.spec)})


def read_box(row: Row[tuple[object, ...]]) -> RolloutBox:
    """A box of a row of its table."""
    plain = {column.name: getattr(row, column.name) for column in ROLLOUT_DEVICE.columns}
    previous = None if row.previous is None else DesiredModel.model_validate_json(row.previous)
    return RolloutBox(**{**plain, "previous": previous})


def _box_row(box: RolloutBox) -> dict[str, object]:
    previous = None if box.previous is None else json.dumps(box.previous.model_dump(mode="json"), sort_keys=True)
    return {**cast("dict[str, object]", vars(box)), "previous": previous}


def _class_row(rollout: int, each: RolloutClass) -> dict[str, object]:
    return {"rollout": rollout, **vars(each)}
