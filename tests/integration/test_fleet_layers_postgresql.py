"""Layers in PostgreSQL: of several who change one at once one wins; a box that is worked off now is noted again."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from fleet.store.audit import AuditLog, Author
from fleet.store.database import Database
from fleet.store.devices import DeviceStore, Told
from fleet.store.layers import LayerConflictError, LayerStore
from fleet.store.stale import mark_all_stale, take_stale
from fleet.store.tables import STALE
from tests.integration.brokers import wait_until
from tests.integration.postgres import postgres
from tests.unit.fleet.configuration.samples import box, layer

ADA = Author("ada", "cli")


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with postgres() as address:
        opened = Database(address)
        boxes = [box("box-1"), box("box-2", "berlin")]
        told = [Told(each, 1, 1, seen=True) for each in boxes]
        DeviceStore(opened).change([each.device for each in boxes], lambda _: told)
        yield opened
        opened.close()


@pytest.fixture
def layers(database: Database) -> LayerStore:
    return LayerStore(database, lambda: (each.device for each in DeviceStore(database).all()))


def stale(database: Database) -> dict[str, int]:
    with database.reading() as connection:
        return {row.device: row.since_ms for row in connection.execute(select(STALE))}


def test_of_several_who_make_and_change_a_layer_at_once_one_wins_each_time(
    database: Database, layers: LayerStore
) -> None:
    name = layer("group/a").name

    def add_three(_: int) -> None:
        done = 0
        while done < 3:
            now = layers.get(name)
            value = 1 if now is None else int(str(now.layer.keys["window_seconds"])) + 1
            try:
                mine = layer("group/a", {"window_seconds": value}, "site=taipei")
                layers.set(mine, 0 if now is None else now.revision, ADA, 5)
            except LayerConflictError:
                continue
            done += 1

    threads = [threading.Thread(target=add_three, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = layers.get(name)
    assert last is not None
    assert (last.revision, last.layer.keys) == (12, {"window_seconds": 12})
    assert len(AuditLog(database).newest(99, subject=name.subject)) == 12
    assert stale(database).keys() == {"box-1"}


def test_a_box_that_is_being_worked_off_is_noted_again(database: Database) -> None:
    """Whoever works it off has read the layers as they were: what changes now is for the next time."""
    with database.writing() as connection:
        mark_all_stale(connection, 1)
    waits = threading.Event()

    def change() -> None:
        with database.writing() as connection:
            waits.set()
            mark_all_stale(connection, 2)

    with database.writing() as connection:
        assert take_stale(connection, 9).keys() == {"box-1", "box-2"}
        thread = threading.Thread(target=change)
        thread.start()
        waits.wait()
        wait_until(lambda: _is_waited_for(database))
    thread.join()
    assert stale(database) == {"box-1": 2, "box-2": 2}


def _is_waited_for(database: Database) -> bool:
    with database.reading() as connection:
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        return bool(connection.exec_driver_sql(waiting).scalar())
