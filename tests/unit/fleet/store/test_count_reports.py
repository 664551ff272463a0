"""Counts by five minutes: each report once, whatever a broker delivers."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from contracts.messages import CountReport
from fleet.ingest import Arrived, Ingest
from fleet.store.count_reports import BUCKET_MS, KEPT_MS, MOST_CAMERAS, ArrivedReport, CountLog
from fleet.store.database import Database
from fleet.store.devices import DeviceStore
from fleet.store.tables import CAMERA_COUNT
from tests.fakes.fleet import facts
from tests.fakes.inventory import MemoryCounts

NOW_MS = 1_780_000_000_000 - 1_780_000_000_000 % BUCKET_MS
LINE = {"counter_id": "c", "since": "2026-01-01T00:00:00Z", "total_in": 9, "total_out": 9}


def text(at_ms: int) -> str:
    return dt.datetime.fromtimestamp(at_ms / 1000, dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def report(seq: int, start_ms: int = NOW_MS, **more: Any) -> CountReport:
    usual: dict[str, Any] = {
        "store_id": "s1",
        "seq": seq,
        "boot_id": "b",
        "device": "box-1",
        "camera": "gate",
        "window": {"start": text(start_ms), "end": text(start_ms + 10_000)},
        "clock_synced": True,
        "frames_seen": 300,
        "frames_dropped": {},
        "coverage": 0.5,
        "quality": "ok",
        "artifact_digest": None,
        "count": {"last": 2, "mean": 3.0, "min": 1, "max": 4},
        "lines": {"a": {**LINE, "in": 2, "out": 1}, "b": {**LINE, "in": 1, "out": 0}},
    }
    return CountReport.model_validate(usual | more)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database(str(tmp_path / "fleet.db"))
    topic, payload = facts()
    Ingest(DeviceStore(database), MemoryCounts()).take([Arrived(topic, payload, False, NOW_MS)])
    return database


def rows(database: Database) -> list[tuple[Any, ...]]:
    columns = [column for column in CAMERA_COUNT.c if column.name not in {"device", "camera"}]
    with database.reading() as connection:
        return [tuple(row) for row in connection.execute(select(*columns).order_by(CAMERA_COUNT.c.start_ms))]


def add(database: Database, *reports: CountReport, at_ms: int = NOW_MS + 20_000) -> None:
    CountLog(database).add([ArrivedReport(each, at_ms) for each in reports])


def test_reports_of_the_same_five_minutes_add_up_by_what_was_observed(database: Database) -> None:
    add(database, report(1), report(2, NOW_MS + 10_000))
    add(database, report(3, NOW_MS + BUCKET_MS))
    assert rows(database) == [(NOW_MS, 10.0, 30.0, 6, 2), (NOW_MS + BUCKET_MS, 5.0, 15.0, 3, 1)]


def test_a_report_that_comes_again_is_added_once(database: Database) -> None:
    add(database, report(1), report(1))
    add(database, report(1))
    add(database, report(2))
    assert rows(database) == [(NOW_MS, 10.0, 30.0, 6, 2)]


def test_a_new_store_of_a_box_begins_anew(database: Database) -> None:
    add(database, report(9))
    add(database, report(1, store_id="s2"))
    assert rows(database)[0][1] == 10.0


def test_no_count_is_observed_time_of_nothing_only_where_nothing_was_observed(database: Database) -> None:
    add(database, report(1, count=None, coverage=0.0, lines={}))
    assert rows(database) == [(NOW_MS, 0.0, 0.0, 0, 0)]


def test_a_time_that_cannot_be_believed_gives_way_to_that_of_the_arrival(database: Database) -> None:
    add(database, report(1, 0), report(2, NOW_MS + 86_400_000))
    assert rows(database) == [(NOW_MS, 10.0, 30.0, 6, 2)]


def test_reports_of_boxes_that_nobody_knows_are_not_kept(database: Database) -> None:
    add(database, report(1, device="ghost"))
    assert rows(database) == []


def test_what_is_older_than_five_weeks_is_removed(database: Database) -> None:
    add(database, report(1))
    CountLog(database).forget(NOW_MS + KEPT_MS)
    assert len(rows(database)) == 1
    CountLog(database).forget(NOW_MS + KEPT_MS + 1)
    assert rows(database) == []


def test_a_box_that_invents_cameras_fills_no_disk(database: Database) -> None:
    log = CountLog(database)
    log.add([ArrivedReport(report(n + 1, camera=f"c-{n}"), NOW_MS) for n in range(MOST_CAMERAS + 5)])
    assert len(rows(database)) == MOST_CAMERAS
    log.add([ArrivedReport(report(900, NOW_MS + BUCKET_MS, camera="c-0"), NOW_MS + BUCKET_MS)])
    assert len(rows(database)) == MOST_CAMERAS + 1
