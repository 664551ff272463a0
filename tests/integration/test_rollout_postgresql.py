"""Rollouts in PostgreSQL, where several programs work at once: nothing is done twice, and nothing is lost."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import text
from typing_extensions import Self

from fleet.rollout.acting import act
from fleet.rollout.creating import create_rollout
from fleet.store import rollout_events
from fleet.store import rollouts as store
from fleet.store import wanted as wanted_store
from fleet.store.audit import Author
from fleet.store.database import Database
from fleet.store.errors import DatabaseError
from tests.fakes.rollout_fleet import NEW, OLD, FakeFleet, count_boxes
from tests.integration.brokers import wait_until
from tests.integration.postgres import postgres
from tests.unit.fleet.rollout.test_engine import ADA, JETSON, PC, RELEASE, soak, spec, stands, states


@pytest.fixture
def address() -> Iterator[str]:
    with postgres() as address:
        yield address


def test_a_rollout_goes_to_its_end_and_back_in_postgresql(address: str) -> None:
    fleet = FakeFleet(Database(address))
    fleet.add("j", 8, JETSON)
    fleet.add("p", 20, PC)
    number, _ = create_rollout(fleet.database, spec(), RELEASE, ADA, fleet.now_ms)
    soak(fleet, 4)
    assert stands(fleet, number).state == "completed"
    act(fleet.database, number, "revert", Author("ben", "api"), fleet.now_ms)
    fleet.work()
    assert states(fleet, number) == {"reverted": 28}
    fleet.database.close()


class Crowd:
    """Several controllers that step the same rollout at once, while boxes answer."""

    def __init__(self, address: str, fleet: FakeFleet) -> None:
        self._stop = threading.Event()
        self.problems: list[Exception] = []
        self._databases = [Database(address) for _ in range(3)]
        self._threads = [threading.Thread(target=self._steps, args=(each, fleet)) for each in self._databases]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for database in self._databases:
            database.close()

    def _steps(self, database: Database, fleet: FakeFleet) -> None:
        while not self._stop.is_set():
            stepping = fleet.another_controller(database)  # each step as if by a program that has just started
            try:
                stepping.turn(fleet.now_ms)
            except DatabaseError as error:
                if "deadlock" in str(error):
                    self.problems.append(error)


def test_controllers_that_work_at_once_offer_each_box_once_and_count_right(address: str) -> None:
    fleet = FakeFleet(Database(address))
    fleet.add("j", 100, JETSON)
    fleet.add("p", 300, PC)
    number, _ = create_rollout(fleet.database, spec(soak_seconds=5), RELEASE, ADA, fleet.now_ms)
    with Crowd(address, fleet) as crowd:
        for _ in range(3000):
            fleet.turn()
            fleet.later(1)
            if stands(fleet, number).state == "completed":
                break
    assert crowd.problems == []
    assert states(fleet, number) == {"committed": 400}
    assert Counter(box.artifact for box in fleet.boxes.values()) == {NEW: 400}
    assert Counter(len(box.attempts) for box in fleet.boxes.values()) == {1: 400}
    with fleet.database.reading() as connection:
        assert store.tally(connection, number) == count_boxes(connection, number)
        assert wanted_store.waiting(connection, 10) == []
        opened = [each for each in rollout_events.newest(connection, number, 100) if each.what == "opened"]
    assert len(opened) == 6  # three waves of two classes, each opened once
    assert OLD not in {box.artifact for box in fleet.boxes.values()}
    fleet.database.close()


def test_what_a_box_tells_while_it_is_about_to_be_taken_back_is_not_overwritten(address: str) -> None:
    fleet = FakeFleet(Database(address))
    fleet.add("p", 3, PC)
    fleet.cut(["p-0"])
    number, _ = create_rollout(fleet.database, spec(waves=spec().waves[-1:]), RELEASE, ADA, fleet.now_ms)
    fleet.work()
    act(fleet.database, number, "revert", ADA, fleet.now_ms)
    step = threading.Thread(target=fleet.stepping.turn, args=(fleet.now_ms,))
    with fleet.database.writing() as connection:
        wanted_store.lock_devices(connection, ["p-0"])
        step.start()
        wait_until(lambda: _somebody_waits(fleet.database))
        box = next(each for each in store.active_boxes(connection, ["p-0"]))
        store.move(connection, [box], [replace(box, state="committed")])
    step.join()
    stands(fleet, number)  # what is counted is what is there
    fleet.back(["p-0"])
    soak(fleet)
    assert (stands(fleet, number).state, states(fleet, number)) == ("reverted", {"reverted": 3})
    fleet.database.close()


def test_two_people_who_start_rollouts_at_once_do_not_take_the_same_boxes(address: str) -> None:
    fleet = FakeFleet(Database(address))
    fleet.add("p", 3, PC)
    both = threading.Barrier(4)
    found: list[int] = []

    def create() -> None:
        both.wait()
        found.append(create_rollout(fleet.database, spec(), RELEASE, ADA, fleet.now_ms)[1].boxes)

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [0, 0, 0, 3]
    fleet.database.close()


def _somebody_waits(database: Database) -> bool:
    with database.reading() as connection:
        return bool(connection.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))
