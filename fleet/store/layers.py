"""Layers in the database: each change with its audit entry and the boxes that it concerns, in one transaction."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Row, and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from contracts.desired import canonical
from contracts.errors import WrittenError
from fleet.configuration.difference import unified
from fleet.configuration.layers import Layer, LayerName
from fleet.inventory.device import Device
from fleet.inventory.fields import matches
from fleet.inventory.query import Query
from fleet.inventory.query_parser import parse_query
from fleet.store.audit import AuditEntry, Author, record
from fleet.store.database import Database
from fleet.store.stale import mark_all_stale, mark_stale
from fleet.store.tables import LAYER, LAYER_REMOVED
from fleet.store.upsert import insert_into


@dataclass(frozen=True)
class StoredLayer:
    """A layer as it is stored.

    Args:
        layer: what it says.
        revision: counts its changes from 1; a layer that was removed and is made again counts on.
        changed_ms: when it was changed last, milliseconds since 1970.
        changed_by: by whom.
    """

    layer: Layer
    revision: int
    changed_ms: int
    changed_by: str


class LayerConflictError(WrittenError):
    """Somebody else changed the layer meanwhile.

    Args:
        name: which layer.
        expected: the revision that was to be changed, 0 where there was to be none.
        current: the layer as it stands, None where there is none.
    """

    def __init__(self, name: LayerName, expected: int, current: StoredLayer | None) -> None:
        self.name = name
        self.expected = expected
        self.current = current
        was = f"revision {expected}" if expected else "no such layer"
        now = f"revision {current.revision} by {current.changed_by}" if current else "no such layer"
        super().__init__(
            f"layer {name}: expected {was}, there is {now}; look at what it is now "
            f"(`edgetally-fleet config show {name}`) and make the change anew"
        )


class LayerStore:
    """The layers of a database.

    Args:
        database: where they are.
        devices: all boxes, by which a group's are found.
    """

    def __init__(self, database: Database, devices: Callable[[], Iterable[Device]]) -> None:
        self._database = database
        self._devices = devices

    def all(self) -> list[StoredLayer]:
        """Every layer, the lowest first.

        Raises:
            DatabaseError: it cannot be read.
        """
        with self._database.reading() as connection:
            return read_layers(connection)

    def get(self, name: LayerName) -> StoredLayer | None:
        """One layer, None where there is none.

        Raises:
            DatabaseError: it cannot be read.
        """
        with self._database.reading() as connection:
            return _one(connection, name)

    def set(self, layer: Layer, expected: int, author: Author, now_ms: int) -> StoredLayer:
        """Make a layer, or replace what it says.

        Args:
            layer: as it should be.
            expected: the revision that it replaces, 0 where there should be none.
            author: who changes it.
            now_ms: the time, milliseconds since 1970.

        Raises:
            LayerConflictError: it has another revision; nothing is changed.
            DatabaseError: it cannot be written.
        """
        stored = self._change(layer.name, expected, layer, author, now_ms)
        assert stored is not None
        return stored

    def remove(self, name: LayerName, expected: int, author: Author, now_ms: int) -> None:
        """Remove a layer.

        Args:
            name: which.
            expected: the revision that it has.
            author: who removes it.
            now_ms: the time, milliseconds since 1970.

        Raises:
            LayerConflictError: it has another revision, or is not there; nothing is changed.
            DatabaseError: it cannot be written.
        """
        self._change(name, expected, None, author, now_ms)

    def _change(
        self, name: LayerName, expected: int, after: Layer | None, author: Author, now_ms: int
    ) -> StoredLayer | None:
        """Replace the layer of the expected revision.

        The boxes of a group are found before the transaction, which would lock others out for as long as it takes: a
        box that comes, or becomes another one, in between is noted by whoever stores that.
        """
        before = self.get(name)
        if _revision(before) != expected or (before is None and after is None):
            raise LayerConflictError(name, expected, before)
        was = None if before is None else before.layer
        queries = {each.query for each in (was, after) if each is not None}
        concerned = self._meant(queries) if name.kind == "group" else [name.name]
        with self._database.writing() as connection:
            revision = 1 + (expected or _removed_at(connection, name))
            stored = None if after is None else StoredLayer(after, revision, now_ms, author.who)
            if not _replace(connection, name, expected, stored):
                raise LayerConflictError(name, expected, _one(connection, name))
            record(connection, _entry(name, before, stored, author, now_ms))
            if name.kind == "fleet":
                mark_all_stale(connection, now_ms)
            else:
                mark_stale(connection, concerned, now_ms)
        return stored

    def _meant(self, queries: Iterable[Query]) -> list[str]:
        every = list(queries)
        return [device.device for device in self._devices() if any(matches(query, device) for query in every)]


def read_layers(connection: Connection) -> list[StoredLayer]:
    """Every layer as a transaction sees it, the lowest first."""
    return sorted((_stored(row) for row in connection.execute(select(LAYER))), key=lambda each: each.layer.place)


def _one(connection: Connection, name: LayerName) -> StoredLayer | None:
    row = connection.execute(select(LAYER).where(LAYER.c.kind == name.kind, LAYER.c.name == name.name)).one_or_none()
    return None if row is None else _stored(row)


def _replace(connection: Connection, name: LayerName, expected: int, after: StoredLayer | None) -> bool:
    """Whether the layer had the expected revision, and now is what it should be."""
    it = and_(LAYER.c.kind == name.kind, LAYER.c.name == name.name, LAYER.c.revision == expected)
    if after is None:
        _note_removed(connection, name, expected)
        return connection.execute(delete(LAYER).where(it)).rowcount == 1
    values = _values(after)
    if expected:
        return connection.execute(update(LAYER).where(it).values(values)).rowcount == 1
    try:
        with connection.begin_nested():
            connection.execute(insert(LAYER).values(kind=name.kind, name=name.name, **values))
    except IntegrityError:  # somebody else made it meanwhile
        return False
    return True


def _removed_at(connection: Connection, name: LayerName) -> int:
    """The revision that a layer of this name had when it was removed last; 0 where none was.

    One that is made again counts on from it: who looked at the earlier one must not change this one unseen.
    """
    table = LAYER_REMOVED.c
    query = select(table.revision).where(table.kind == name.kind, table.name == name.name)
    return connection.scalar(query) or 0


def _note_removed(connection: Connection, name: LayerName, revision: int) -> None:
    insert_ = insert_into(connection, LAYER_REMOVED).values(kind=name.kind, name=name.name, revision=revision)
    set_ = {"revision": revision}
    connection.execute(insert_.on_conflict_do_update(index_elements=["kind", "name"], set_=set_))


def _values(stored: StoredLayer) -> Mapping[str, object]:
    return {
        "query": str(stored.layer.query),
        "rank": stored.layer.rank,
        "body": canonical(stored.layer.keys).decode(),
        "revision": stored.revision,
        "changed_ms": stored.changed_ms,
        "changed_by": stored.changed_by,
    }


def _stored(row: Row[tuple[object, ...]]) -> StoredLayer:
    layer = Layer(LayerName(row.kind, row.name), json.loads(row.body), parse_query(row.query), row.rank)
    return StoredLayer(layer, row.revision, row.changed_ms, row.changed_by)


def _revision(stored: StoredLayer | None) -> int:
    return 0 if stored is None else stored.revision


def _entry(
    name: LayerName, before: StoredLayer | None, after: StoredLayer | None, author: Author, now_ms: int
) -> AuditEntry:
    action = "config.remove" if after is None else "config.set"
    summary = f"{name} is removed" if after is None else f"{name} is revision {after.revision}"
    diff = unified(before.layer if before else None, after.layer if after else None)
    return AuditEntry(now_ms, author, action, name.subject, summary, diff)
