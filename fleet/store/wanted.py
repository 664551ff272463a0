"""What boxes should run, in the database; whoever changes it holds the boxes' rows first (`lock_devices`)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, Row, bindparam, func, insert, select, tuple_, update

from contracts.desired import DesiredModel
from fleet.inventory.device import Device
from fleet.store.devices import read_known
from fleet.store.tables import DEVICE, WANTED
from fleet.wanted.rules import Revisions, Wanted


def lock_devices(connection: Connection, ids: Iterable[str], *, skip_locked: bool = False) -> dict[str, Device]:
    """The boxes of these ids, that nobody else changes until the transaction ends; those that are not known lack.

    Args:
        connection: that writes.
        ids: of the boxes.
        skip_locked: whether those lack, too, that another transaction changes; else it is waited for.
    """
    query = select(DEVICE.c.device, DEVICE.c.known).where(DEVICE.c.device.in_(sorted(set(ids))))
    rows = connection.execute(query.order_by(DEVICE.c.device).with_for_update(skip_locked=skip_locked))
    return {device: read_known(device, known) for device, known in rows}


def load(connection: Connection, ids: Iterable[str], *, lock: bool = False) -> dict[str, Wanted]:
    """What boxes should run; those lack of whom nothing is wanted."""
    query = select(WANTED).where(WANTED.c.device.in_(sorted(set(ids)))).order_by(WANTED.c.device)
    rows = connection.execute(query.with_for_update() if lock else query)
    return {row.device: _read(row) for row in rows}


def save(connection: Connection, known: Mapping[str, Wanted], wanted: Sequence[Wanted]) -> None:
    """Write what boxes should run.

    Args:
        connection: that writes.
        known: what `load` gave of these boxes in the same transaction.
        wanted: what is to be stored.
    """
    new = [_row(each) for each in wanted if each.device not in known]
    old = [{**_row(each), "of": each.device} for each in wanted if each.device in known]
    if new:
        connection.execute(insert(WANTED), new)
    if old:
        names = [column.name for column in WANTED.columns if not column.primary_key]
        statement = update(WANTED).where(WANTED.c.device == bindparam("of"))
        connection.execute(statement.values({name: bindparam(name) for name in names}), old)


def waiting(connection: Connection, limit: int) -> list[Wanted]:
    """Documents that the broker does not have yet, the longest waiting first."""
    query = select(WANTED).where(WANTED.c.waits_ms.is_not(None)).order_by(WANTED.c.waits_ms, WANTED.c.device)
    return [_read(row) for row in connection.execute(query.limit(limit))]


def published(connection: Connection, wanted: Iterable[Wanted]) -> None:
    """The broker has these documents; one that was changed meanwhile goes on waiting."""
    rows = [{"of": each.device, "said": each.document} for each in wanted]
    if rows:
        same = (WANTED.c.device == bindparam("of"), WANTED.c.document == bindparam("said"))
        connection.execute(update(WANTED).where(*same).values(waits_ms=None), rows)


def say_again(connection: Connection, ids: Iterable[str], now_ms: int) -> None:
    """Have documents published again: the boxes do not have them."""
    wanted = sorted(set(ids))
    if wanted:
        query = update(WANTED).where(WANTED.c.device.in_(wanted), WANTED.c.waits_ms.is_(None), WANTED.c.document != "")
        connection.execute(query.values(waits_ms=now_ms))


def expiring(connection: Connection, before_ms: int, after: tuple[int, str], limit: int) -> list[tuple[int, str]]:
    """Boxes whose documents expire before a time, the earliest first: when, and which.

    Args:
        connection: that reads.
        before_ms: the time.
        after: the last one of the page before; ``(0, "")`` before the first.
        limit: how many at most.
    """
    order = tuple_(WANTED.c.expires_ms, WANTED.c.device)
    query = select(WANTED.c.expires_ms, WANTED.c.device).where(WANTED.c.expires_ms < before_ms, WANTED.c.document != "")
    query = query.where(order > tuple_(*after)).order_by(WANTED.c.expires_ms, WANTED.c.device).limit(limit)
    return [(at_ms, device) for at_ms, device in connection.execute(query)]


def revisions(connection: Connection, ids: Iterable[str]) -> dict[str, tuple[Revisions, bool]]:
    """The revisions that boxes should run, and whether each is known to be ahead of them."""
    columns = (WANTED.c.device, WANTED.c.epoch, WANTED.c.config_revision, WANTED.c.model_revision, WANTED.c.ahead)
    rows = connection.execute(select(*columns).where(WANTED.c.device.in_(sorted(set(ids)))))
    return {device: (Revisions(*order), ahead) for device, *order, ahead in rows}


def set_ahead(connection: Connection, ids: Iterable[str], *, ahead: bool) -> None:
    """Note whether boxes were given a newer document than this database knows."""
    wanted = sorted(set(ids))
    if wanted:
        connection.execute(update(WANTED).where(WANTED.c.device.in_(wanted)).values(ahead=ahead))


def count_ahead(connection: Connection) -> int:
    """How many boxes were given a newer document than this database knows."""
    return connection.scalar(select(func.count()).where(WANTED.c.ahead)) or 0


def _read(row: Row[tuple[object, ...]]) -> Wanted:
    plain: dict[str, object] = json.loads(row.models)
    models = {slot: DesiredModel.model_validate(model) for slot, model in plain.items()}
    names = [column.name for column in WANTED.columns if column.name != "models"]
    return Wanted(models=models, **{name: getattr(row, name) for name in names})


def _row(wanted: Wanted) -> dict[str, object]:
    models = {slot: model.model_dump(mode="json") for slot, model in wanted.models.items()}
    plain = {column.name: getattr(wanted, column.name) for column in WANTED.columns}
    return {**plain, "models": json.dumps(models, sort_keys=True)}
