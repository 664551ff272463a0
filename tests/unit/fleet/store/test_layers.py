"""Layers in SQLite: a change, its audit entry and the boxes that it concerns are there together; a conflict tells."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import delete, select

from fleet.inventory.device import Device
from fleet.store import layers as layers_module
from fleet.store.audit import AuditLog, Author
from fleet.store.database import Database
from fleet.store.devices import DeviceStore, Told
from fleet.store.layers import LayerConflictError, LayerStore, StoredLayer
from fleet.store.stale import mark_all_stale, mark_stale
from fleet.store.tables import STALE
from tests.unit.fleet.configuration.samples import SECRET, box, layer

ADA, BOB = Author("ada", "cli"), Author("bob", "console")


class Stores(NamedTuple):
    database: Database
    layers: LayerStore
    devices: DeviceStore

    def stale(self) -> dict[str, int]:
        with self.database.reading() as connection:
            return {row.device: row.since_ms for row in connection.execute(select(STALE))}

    def forget(self) -> None:
        with self.database.writing() as connection:
            connection.execute(delete(STALE))


def opened(file: Path) -> Stores:
    database = Database(str(file))
    devices = DeviceStore(database)
    return Stores(database, LayerStore(database, lambda: (each.device for each in devices.all())), devices)


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    made = opened(tmp_path / "fleet.db")
    boxes = [box("box-1"), box("box-2", "berlin"), box("box-3", None)]
    made.devices.change([each.device for each in boxes], lambda _: [Told(each, 1, 1, seen=True) for each in boxes])
    yield made
    made.database.close()


def test_a_layer_is_read_back_as_it_was_written(stores: Stores) -> None:
    group = layer("group/north", {"broker": {"password": SECRET}}, 'site="a b" | class~x86*', rank=3)
    fleet = layer("fleet", {"labels": {"zone": "台北"}})
    assert stores.layers.set(group, 0, ADA, 5) == StoredLayer(group, 1, 5, "ada")
    stores.layers.set(fleet, 0, BOB, 6)
    assert stores.layers.all() == [StoredLayer(fleet, 1, 6, "bob"), StoredLayer(group, 1, 5, "ada")]
    assert stores.layers.get(group.name) == StoredLayer(group, 1, 5, "ada")
    assert stores.layers.get(layer("device/box-1").name) is None


def test_each_change_counts_the_revision_and_is_in_the_audit_log_without_secrets(stores: Stores) -> None:
    stores.layers.set(layer("fleet", {"broker": {"password": SECRET}}), 0, ADA, 5)
    changed = layer("fleet", {"broker": {"password": f"{SECRET}2"}, "window_seconds": 5})
    assert stores.layers.set(changed, 1, BOB, 6).revision == 2
    stores.layers.remove(changed.name, 2, ADA, 7)
    assert stores.layers.all() == []
    removed, second, first = (each.entry for each in AuditLog(stores.database).newest(9, subject="layer:fleet"))
    assert [(each.at_ms, each.author, each.action) for each in (first, second, removed)] == [
        (5, ADA, "config.set"),
        (6, BOB, "config.set"),
        (7, ADA, "config.remove"),
    ]
    assert "+window_seconds = 5" in second.diff
    assert "broker.password" in first.diff
    assert "differs in what is not shown" in second.diff
    assert SECRET not in first.diff + second.diff + removed.diff


@pytest.mark.parametrize("expected", [0, 2])
def test_another_revision_than_expected_is_a_conflict_that_carries_the_layer_as_it_is(
    stores: Stores, expected: int
) -> None:
    mine = stores.layers.set(layer("group/a", {"window_seconds": 5}, "site=taipei"), 0, ADA, 5)
    stores.forget()
    with pytest.raises(LayerConflictError, match="there is revision 1 by ada") as conflict:
        stores.layers.set(layer("group/a", {"window_seconds": 6}), expected, BOB, 6)
    assert conflict.value.current == mine
    with pytest.raises(LayerConflictError):
        stores.layers.remove(mine.layer.name, expected, BOB, 6)
    assert (stores.layers.all(), stores.stale(), len(AuditLog(stores.database).newest(9))) == ([mine], {}, 1)


def test_what_is_not_there_can_be_neither_changed_nor_removed(stores: Stores) -> None:
    name = layer("group/a").name
    for revision in (0, 3):
        with pytest.raises(LayerConflictError, match="there is no such layer") as conflict:
            stores.layers.remove(name, revision, ADA, 5)
        assert conflict.value.current is None
    with pytest.raises(LayerConflictError):
        stores.layers.set(layer("group/a"), 3, ADA, 5)


def test_a_layer_that_is_removed_and_made_again_never_has_a_revision_that_somebody_saw_before(stores: Stores) -> None:
    name = layer("group/a").name
    seen = stores.layers.set(layer("group/a", {"window_seconds": 5}), 0, ADA, 5)
    stores.layers.remove(name, seen.revision, BOB, 6)
    again = stores.layers.set(layer("group/a", {"window_seconds": 6}), 0, BOB, 7)
    assert again.revision == 2
    with pytest.raises(LayerConflictError, match="expected revision 1, there is revision 2 by bob"):
        stores.layers.set(layer("group/a", {"window_seconds": 7}), seen.revision, ADA, 8)
    stores.layers.remove(name, again.revision, BOB, 9)
    assert stores.layers.set(layer("group/a"), 0, BOB, 10).revision == 3
    assert stores.layers.set(layer("group/b"), 0, BOB, 11).revision == 1


def test_the_fleets_layer_concerns_all_boxes_a_devices_that_one(stores: Stores) -> None:
    stores.layers.set(layer("fleet"), 0, ADA, 5)
    assert stores.stale() == {"box-1": 5, "box-2": 5, "box-3": 5}
    stores.forget()
    stores.layers.set(layer("device/box-2"), 0, ADA, 6)
    stores.layers.set(layer("device/box-to-come"), 0, ADA, 6)
    assert stores.stale() == {"box-2": 6}


def test_a_group_concerns_the_boxes_that_fitted_before_and_those_that_fit_after(stores: Stores) -> None:
    stores.layers.set(layer("group/a", {}, "site=taipei"), 0, ADA, 5)
    assert stores.stale() == {"box-1": 5}
    stores.forget()
    stores.layers.set(layer("group/a", {}, "site=berlin"), 1, ADA, 6)
    assert stores.stale() == {"box-1": 6, "box-2": 6}
    stores.forget()
    stores.layers.remove(layer("group/a").name, 2, ADA, 7)
    assert stores.stale() == {"box-2": 7}


@pytest.mark.parametrize("fails", ["record", "mark_all_stale"])
def test_a_change_that_cannot_be_finished_leaves_nothing_of_itself(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def fail(*_: object) -> None:
        raise LookupError

    monkeypatch.setattr(layers_module, fails, fail)
    with pytest.raises(LookupError):
        stores.layers.set(layer("fleet"), 0, ADA, 5)
    assert (stores.layers.all(), stores.stale(), AuditLog(stores.database).newest(9)) == ([], {}, [])


def test_a_box_that_waits_already_is_noted_anew(stores: Stores) -> None:
    with stores.database.writing() as connection:
        mark_stale(connection, ["box-2", "unknown"], 5)
        mark_all_stale(connection, 6)
        mark_stale(connection, [f"no-{n}" for n in range(2_000)] + ["box-3"], 7)
    found = stores.stale()
    assert (found["box-1"], found["box-2"] > 5, found["box-3"] > 6, len(found)) == (6, True, True, 3)


def test_of_several_who_change_a_layer_at_once_one_wins_each_time(tmp_path: Path) -> None:
    every = [opened(tmp_path / "fleet.db") for _ in range(3)]
    won: list[int] = []

    def count_up(stores: Stores, number: int) -> None:
        for _ in range(5):
            while True:
                now = stores.layers.get(layer("fleet").name)
                value = 1 + (0 if now is None else int(str(now.layer.keys["window_seconds"])))
                try:
                    mine = layer("fleet", {"window_seconds": value})
                    stores.layers.set(mine, 0 if now is None else now.revision, ADA, number)
                except LayerConflictError:
                    continue
                won.append(value)
                break

    threads = [threading.Thread(target=count_up, args=(each, n)) for n, each in enumerate(every)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == list(range(1, 16))
    last = every[0].layers.get(layer("fleet").name)
    assert last is not None
    assert (last.revision, last.layer.keys) == (15, {"window_seconds": 15})
    for each in every:
        each.database.close()


def test_a_layer_made_by_another_between_looking_and_writing_is_a_conflict(stores: Stores) -> None:
    """Making has no row that could be locked: only the database's own key tells."""
    theirs = layer("group/a", {"window_seconds": 9})

    def devices() -> list[Device]:
        LayerStore(stores.database, list).set(theirs, 0, BOB, 5)
        return []

    with pytest.raises(LayerConflictError) as conflict:
        LayerStore(stores.database, devices).set(layer("group/a"), 0, ADA, 6)
    assert conflict.value.current == StoredLayer(theirs, 1, 5, "bob")
    assert [each.entry.author for each in AuditLog(stores.database).newest(9)] == [BOB]
