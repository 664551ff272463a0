"""Taking messages in: batches, refusals, and what a failing database does."""

from __future__ import annotations

import pytest

from fleet.ingest import Arrived, Ingest
from fleet.store.errors import DatabaseError, RejectedError
from tests.fakes.fleet import Published, facts, health, hello, reported, status
from tests.fakes.inventory import MemoryCounts, MemoryInventory


def arrived(*messages: Published, retained: bool = False, at: int = 1_000) -> list[Arrived]:
    return [Arrived(topic, payload, retained, at + n) for n, (topic, payload) in enumerate(messages)]


def refused(ingest: Ingest) -> dict[str, int]:
    return {reason: count for reason, count in ingest.refused.items() if count}


def test_a_batch_is_written_once_a_box_with_every_change_in_order() -> None:
    inventory = MemoryInventory()
    Ingest(inventory, MemoryCounts()).take(arrived(hello(), status("online"), status("offline"), hello("box-2")))
    first, second = inventory.written
    assert (first.device.device, second.device.device) == ("box-1", "box-2")
    online = [(one.at_ms, one.change.after) for one in first.changes if one.change.what == "online"]
    assert online == [(1_001, "yes"), (1_002, "no: ")]


def test_what_says_nothing_new_is_not_written() -> None:
    inventory = MemoryInventory()
    ingest = Ingest(inventory, MemoryCounts())
    ingest.take(arrived(facts(), health()))
    inventory.written.clear()
    ingest.take(arrived(facts(), health(), at=5_000))
    assert inventory.written == []
    ingest.flush()
    assert inventory.last_seen == {"box-1": 5_001}


def test_neither_the_broker_s_memory_nor_a_will_is_a_sign_of_life() -> None:
    inventory = MemoryInventory()
    ingest = Ingest(inventory, MemoryCounts())
    ingest.take(arrived(facts(), status("online"), retained=True))
    ingest.take(arrived(status("offline", reason="connection lost")))
    ingest.flush()
    assert inventory.last_seen == {}
    assert not any(each.seen for each in inventory.written)


def test_what_is_refused_is_counted_and_the_rest_is_taken() -> None:
    inventory = MemoryInventory()
    ingest = Ingest(inventory, MemoryCounts())
    late = status("online", boot="boot-1")
    ingest.take(arrived(("edgetally/v1/box-1/hello", b"{"), hello(), hello(boot="boot-2"), late, ("x", b"y"), facts()))
    assert refused(ingest) == {"not_json": 1, "no_topic": 1, "late": 1}
    assert ingest.taken == 3
    assert inventory.devices["box-1"].boot_id == "boot-2"


def test_a_retained_message_that_is_taken_back_is_nothing() -> None:
    ingest = Ingest(MemoryInventory(), MemoryCounts())
    ingest.take(arrived(("edgetally/v1/box-1/facts", b"")))
    assert refused(ingest) == {}


def test_no_more_boxes_are_taken_in_than_may_be() -> None:
    inventory = MemoryInventory()
    ingest = Ingest(inventory, MemoryCounts(), most_devices=2)
    ingest.take(arrived(hello("a"), hello("b"), hello("c"), status("online", "a")))
    ingest.take(arrived(hello("d"), hello("b", version="2")))
    assert set(inventory.devices) == {"a", "b"}
    assert refused(ingest) == {"too_many_devices": 2}
    assert inventory.devices["b"].version == "2"


def test_a_batch_that_was_not_written_may_be_taken_again_and_is_counted_once() -> None:
    inventory = MemoryInventory()
    inventory.fails = [DatabaseError("db", "gone", "wait")]
    ingest = Ingest(inventory, MemoryCounts())
    batch = arrived(hello(), ("edgetally/v1/box-1/hello", b"{"))
    with pytest.raises(DatabaseError):
        ingest.take(batch)
    ingest.take(batch)
    assert (ingest.taken, refused(ingest)) == (1, {"not_json": 1})


def test_when_boxes_were_seen_survives_a_database_that_fails() -> None:
    inventory = MemoryInventory()
    ingest = Ingest(inventory, MemoryCounts())
    ingest.take(arrived(reported()))
    inventory.fails = [DatabaseError("db", "gone", "wait")]
    with pytest.raises(DatabaseError):
        ingest.flush()
    ingest.flush()
    assert inventory.last_seen == {"box-1": 1_000}


@pytest.mark.parametrize("error", [RejectedError("db", "no such value", "report it"), ValueError("a fault of ours")])
def test_one_message_that_cannot_be_stored_does_not_hold_up_the_others(error: Exception) -> None:
    inventory = MemoryInventory()
    inventory.refuses = {"evil": error}
    ingest = Ingest(inventory, MemoryCounts())
    ingest.take(arrived(hello("box-1"), hello("evil"), hello("box-2")))
    assert set(inventory.devices) == {"box-1", "box-2"}
    assert refused(ingest) == {"failed": 1}
