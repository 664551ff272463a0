"""Boxes in SQLite: what was stored is there, and what changed of each is remembered within bounds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from fleet.ingest import Arrived, Ingest
from fleet.inventory.device import Change, Device
from fleet.store.database import Database
from fleet.store.devices import CHANGES_KEPT, DeviceStore, StoredChange, Told
from tests.fakes.fleet import facts, hello, status
from tests.fakes.inventory import MemoryCounts


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(str(tmp_path / "fleet.db"))
    yield opened
    opened.close()


@pytest.fixture
def store(database: Database) -> DeviceStore:
    return DeviceStore(database)


def tell(store: DeviceStore, *told: Told) -> None:
    store.change([each.device.device for each in told], lambda _: told)


def test_what_was_stored_is_read_back(store: DeviceStore) -> None:
    device = Device(device="box-1", labels={"site": "台北"}, facts={"cpu.isa": ("avx",), "gpu.sm": 87, "on": True})
    tell(store, Told(device, 5, 5, seen=True), Told(Device(device="box-2"), 6, 6, seen=False))
    first, second = store.all()
    assert (first.device, first.first_heard_ms, first.last_seen_ms) == (device, 5, 5)
    assert (second.first_heard_ms, second.last_seen_ms) == (6, None)
    assert store.get("box-1") == first
    assert store.get("box-3") is None
    assert store.count() == 2


def test_last_seen_does_not_go_back_or_away(store: DeviceStore) -> None:
    tell(store, Told(Device(device="box-1"), 5, 5, seen=True))
    store.seen({"box-1": 9, "unknown": 9})
    store.seen({"box-1": 7})
    tell(store, Told(Device(device="box-1", version="2"), 12, 12, seen=False))
    found = store.get("box-1")
    assert found is not None
    assert (found.first_heard_ms, found.last_seen_ms, found.device.version) == (5, 9, "2")
    assert store.count() == 1


def test_changes_are_newest_first_and_bounded_for_each_box(store: DeviceStore) -> None:
    many = [StoredChange(n, Change("online", None, str(n))) for n in range(CHANGES_KEPT + 5)]
    tell(
        store,
        Told(Device(device="box-1"), 1, 1, seen=True, changes=many),
        Told(Device(device="box-2"), 1, 1, seen=True, changes=many[:1]),
    )
    kept = store.changes("box-1", limit=10_000)
    assert kept == many[:4:-1]
    assert store.changes("box-2") == many[:1]


def test_what_raises_within_a_change_leaves_everything_as_it_was(store: DeviceStore) -> None:
    def fails(_known: object) -> list[Told]:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        store.change(["box-1"], fails)
    assert store.count() == 0


def test_a_row_that_cannot_be_read_becomes_good_with_the_next_message(store: DeviceStore, database: Database) -> None:
    tell(store, Told(Device(device="box-1"), 5, 5, seen=True))
    with database.writing() as connection:
        connection.execute(text("UPDATE device SET known = '{}'"))
    ingest = Ingest(store, MemoryCounts())
    ingest.take([Arrived(*hello(), False, 7), Arrived(*facts(labels={"site": "a"}), False, 8)])
    found = store.get("box-1")
    assert found is not None
    assert (found.device.version, found.device.labels) == ("1.0.0", {"site": "a"})


def test_programs_that_write_the_same_boxes_at_once_lose_nothing(tmp_path: Path) -> None:
    """Each tells another thing of the same boxes, again and again; what one wrote the others must have read."""
    databases = [Database(str(tmp_path / "fleet.db")) for _ in range(3)]
    boxes = [f"box-{n}" for n in range(5)]

    def tell_often(database: Database, number: int) -> None:
        ingest = Ingest(DeviceStore(database), MemoryCounts())
        for n in range(30):
            told = [(hello(box), facts(box, labels={"n": str(n)}), status("online", box))[number] for box in boxes]
            ingest.take([Arrived(*message, False, n) for message in told])

    threads = [threading.Thread(target=tell_often, args=(each, n)) for n, each in enumerate(databases)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for found in DeviceStore(databases[0]).all():
        assert (found.device.version, found.device.labels, found.device.online) == ("1.0.0", {"n": "29"}, True)
    assert DeviceStore(databases[0]).count() == len(boxes)
    for database in databases:
        database.close()
