"""The inventory in PostgreSQL: the same as in SQLite, and several programs at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import inspect, text

from contracts.errors import EdgetallyError
from fleet.ingest import Arrived, Ingest
from fleet.store.database import Database
from fleet.store.devices import CHANGES_KEPT, DeviceStore
from fleet.store.errors import DatabaseError, RejectedError
from fleet.store.tables import METADATA
from tests.fakes.fleet import facts, health, hello, reported, status
from tests.fakes.inventory import MemoryCounts
from tests.integration.postgres import postgres


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as address:
        yield address


@pytest.fixture
def address(server: str) -> Iterator[str]:
    yield server
    database = Database(server)
    with database.writing() as connection:
        METADATA.drop_all(connection)
        connection.execute(text("DROP TABLE schema_version"))
    database.close()


def test_many_that_open_an_empty_database_at_once_make_it_once(address: str) -> None:
    failures: list[Exception] = []

    def opens() -> None:
        try:
            Database(address).close()
        except EdgetallyError as error:
            failures.append(error)

    threads = [threading.Thread(target=opens) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    database = Database(address)
    with database.reading() as connection:
        assert connection.scalar(text("SELECT count(*) FROM schema_version")) == 1
        for table in METADATA.sorted_tables:
            found = {column["name"] for column in inspect(connection).get_columns(table.name)}
            assert found == set(table.columns.keys())
    database.close()


def test_what_boxes_tell_is_stored_asked_for_and_remembered(address: str) -> None:
    database = Database(address)
    store = DeviceStore(database)
    ingest = Ingest(store, MemoryCounts())
    messages = [
        hello(),
        status("online"),
        facts(labels={"site": "台北"}),
        reported(config_revision=2, epoch=0),
        health(),
    ]
    ingest.take([Arrived(*message, False, 10 + n) for n, message in enumerate(messages)])
    for n in range(CHANGES_KEPT + 10):
        ingest.take([Arrived(*status("offline" if n % 2 else "online", reason=str(n)), False, 100 + n)])
    ingest.take([Arrived(*health(), False, 5_000)])
    ingest.flush()
    [found] = store.all()
    assert found.device.labels == {"site": "台北"}
    assert (found.first_heard_ms, found.last_seen_ms) == (10, 5_000)
    assert len(store.changes("box-1", limit=10_000)) == CHANGES_KEPT
    database.close()


def test_several_controllers_at_once_lose_nothing(address: str) -> None:
    """Each tells another fact of the same boxes; what one wrote the others must have read."""
    databases = [Database(address) for _ in range(3)]
    boxes = [f"box-{n}" for n in range(20)]
    failures: list[Exception] = []

    def tells(database: Database, order: list[str], make: int) -> None:
        ingest = Ingest(DeviceStore(database), MemoryCounts())
        for _ in range(5):
            batch = [Arrived(*(hello(box), facts(box), health(box, warnings=["x"]))[make], False, 1) for box in order]
            while True:
                try:
                    ingest.take(batch)
                    break
                except DatabaseError as error:  # both made the same new box: the second one takes its batch again
                    if isinstance(error, RejectedError):
                        failures.append(error)
                        return

    DeviceStore(databases[0])
    threads = [
        threading.Thread(target=tells, args=(database, boxes[:: 1 if n else -1], n))
        for n, database in enumerate(databases)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for stored in DeviceStore(databases[0]).all():
        assert stored.device.version == "1.0.0"
        assert stored.device.facts == {"arch": "x86_64"}
        assert stored.device.warnings == ("gate: x",)
    for database in databases:
        database.close()


def test_a_connection_that_is_lost_is_said_and_made_anew(address: str) -> None:
    database = Database(address)
    with pytest.raises(DatabaseError, match="terminat") as error, database.writing() as connection:
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    assert not isinstance(error.value, RejectedError)
    assert DeviceStore(database).count() == 0
    database.close()
