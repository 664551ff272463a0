"""What cameras used to be like outlives restarts and kills, is written once an hour, and is bounded."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from agent.drift.baseline import Baseline
from agent.drift.judge import Judge, Learned
from agent.drift.keeper import DriftKeeper
from agent.drift.spread import SCORES
from agent.store import Store
from agent.store.database import NAME, DamagedError
from agent.store.drift import LearnedHour
from contracts.errors import EdgetallyError, StorageError, UnknownNameError
from tests.fakes.drift import usual_hours
from tests.unit.agent.drift.test_watch import GATE, a_watch, watch_window


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path / "state")
    yield opened
    opened.close()


def learned(weeks: int) -> list[Learned]:
    judge = Judge(Baseline(), SCORES, crossings=True)
    return [judge.take(hour) for hour in usual_hours(weeks)]


def teach(store: Store, hours: Sequence[Learned], definition: str = "d") -> None:
    store.learn([LearnedHour("gate", definition, hour) for hour in hours])


def rows(path: Path) -> tuple[int, int]:
    with sqlite3.connect(path / NAME) as database:
        found = tuple(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES)
    database.close()
    return found[0], found[1]


TABLES = ("drift_first", "drift_past")


def test_it_is_there_after_a_kill(store: Store, tmp_path: Path) -> None:
    store.baselines({"gate": "d"})
    hours = learned(1)
    teach(store, hours)
    shutil.copytree(tmp_path / "state", tmp_path / "killed")  # as the disk is while the agent runs
    again = Store.open(tmp_path / "killed")
    baseline = again.baselines({"gate": "d"})["gate"]
    again.close()
    assert baseline.first == [hour.first for hour in hours]
    assert [baseline.at(hour.past.place) for hour in hours if hour.past] == [hour.past for hour in hours]


def test_another_camera_begins_anew_and_one_that_went_is_forgotten(store: Store, tmp_path: Path) -> None:
    store.baselines({"gate": "d", "yard": "d"})
    teach(store, learned(1))
    assert len(store.baselines({"gate": "d"})["gate"].first) == 168
    moved = store.baselines({"gate": "moved"})["gate"]
    assert moved.first == []
    assert rows(tmp_path / "state") == (0, 0)
    teach(store, learned(1)[:1], "d")  # from before it moved
    assert rows(tmp_path / "state") == (0, 0)


def test_a_new_store_begins_anew(store: Store, tmp_path: Path) -> None:
    store.baselines({"gate": "d"})
    teach(store, learned(1)[:5])
    other = Store.open(tmp_path / "other")
    assert other.baselines({"gate": "d"})["gate"].first == []
    other.close()


def test_it_is_bounded_however_long_it_runs(store: Store, tmp_path: Path) -> None:
    store.baselines({"gate": "d"})
    teach(store, learned(7))
    assert rows(tmp_path / "state") == (168, 168 * 5)


def test_a_database_of_before_gets_its_tables(tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    with sqlite3.connect(tmp_path / NAME) as database:
        for table in ("drift", *TABLES):
            database.execute(f"DROP TABLE {table}")
    database.close()
    store = Store.open(tmp_path)
    assert store.baselines({"gate": "d"})["gate"].first == []
    store.close()


def test_a_camera_that_was_moved_is_learned_anew_and_no_other(store: Store, tmp_path: Path) -> None:
    gate, yard = a_watch(), a_watch(GATE.model_copy(update={"id": "yard"}))
    keeper = DriftKeeper(store, [gate, yard])
    store.learn([LearnedHour(one.camera, one.definition, hour) for one in (gate, yard) for hour in learned(1)])
    for number in range(90):  # an hour that is not kept yet, and half of one
        watch_window(gate, number)
    since = keeper.begin_anew("gate")
    assert gate.report().since == since
    keeper.save()
    past = store.baselines({one.camera: one.definition for one in (gate, yard)})
    assert (past["gate"].since, len(past["gate"].first)) == (since, 0)
    assert len(past["yard"].first) == 168
    for number in range(90, 121):
        watch_window(gate, number)
    keeper.save()
    (hour,) = store.baselines({"gate": gate.definition})["gate"].first
    assert hour.brightness > 0, "the half after it is an hour of the new past"


def test_of_a_camera_that_is_not_there_nothing_is_forgotten(store: Store, tmp_path: Path) -> None:
    watch = a_watch()
    keeper = DriftKeeper(store, [watch])
    store.learn([LearnedHour("gate", watch.definition, hour) for hour in learned(1)])
    with pytest.raises(UnknownNameError, match="did you mean 'gate'"):
        keeper.begin_anew("gaet")
    with pytest.raises(UnknownNameError, match="did you mean 'gate'"):
        store.begin_anew("gaet")
    assert rows(tmp_path / "state") == (168, 168)


def test_where_the_disk_refuses_nothing_is_forgotten() -> None:
    memory, watch = CountingMemory(), a_watch()
    keeper = DriftKeeper(memory, [watch])
    for number in range(60):
        watch_window(watch, number)
    memory.refuses = StorageError("a.db", OSError("full"))
    with pytest.raises(StorageError):
        keeper.begin_anew("gate")
    assert len(watch.unkept()) == 1


class CountingMemory:
    """Counts what is written; refuses where told to."""

    def __init__(self) -> None:
        self.written: list[Sequence[LearnedHour]] = []
        self.refuses: EdgetallyError | None = None

    def baselines(self, cameras: Mapping[str, str]) -> Mapping[str, Baseline]:
        return {camera: Baseline("2026-01-01T00:00:00Z") for camera in cameras}

    def learn(self, hours: Sequence[LearnedHour]) -> None:
        if self.refuses:
            raise self.refuses
        self.written.append(hours)

    def begin_anew(self, camera: str) -> Baseline:
        if self.refuses:
            raise self.refuses
        return Baseline(camera)


def test_it_writes_once_an_hour_and_not_where_nothing_was_learned() -> None:
    memory, watch = CountingMemory(), a_watch()
    keeper = DriftKeeper(memory, [watch])
    for number in range(121):
        watch_window(watch, number)
        keeper.save()
    assert [len(hours) for hours in memory.written] == [1, 1]
    assert watch.report().since == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize("error", [StorageError("a.db", OSError("full")), DamagedError(Path("a.db"), "malformed")])
def test_what_the_disk_refuses_is_written_later_once(error: EdgetallyError) -> None:
    memory, watch = CountingMemory(), a_watch()
    keeper = DriftKeeper(memory, [watch])
    memory.refuses = error
    for number in range(120):
        watch_window(watch, number)
        keeper.save()
    memory.refuses = None
    keeper.save()
    keeper.save()
    assert [len(hours) for hours in memory.written] == [2]


def test_a_day_of_hours_costs_the_disk_less_than_a_megabyte(store: Store) -> None:
    store.baselines({"gate": "d"})
    before = store.status().written_bytes
    for hour in learned(1)[:48]:
        teach(store, [hour])
    a_day = (store.status().written_bytes - before) / 2
    assert a_day < 1_000_000
