"""What boxes tell, held against what they should run."""

from __future__ import annotations

from pathlib import Path

from fleet.ingest import Arrived, Ingest
from fleet.store import wanted as store
from fleet.store.count_reports import CountLog
from fleet.store.database import Database
from fleet.store.devices import DeviceStore
from fleet.wanted.signing import unsigned
from fleet.wanted.watching import wanted_watch
from fleet.wanted.writing import WantedWriter
from tests.fakes.fleet import hello


def test_a_box_that_says_hello_in_a_loop_is_answered_a_few_times_and_then_now_and_then(tmp_path: Path) -> None:
    now = [0.0]
    database = Database(str(tmp_path / "fleet.db"))
    ingest = Ingest(DeviceStore(database, (wanted_watch(lambda: now[0]),)), CountLog(database))
    topic, payload = hello()
    ingest.take([Arrived(topic, payload, False, 0)])
    with database.writing() as connection:
        devices = store.lock_devices(connection, ["box-1"])
        WantedWriter(unsigned, 86_400_000).write(connection, devices, lambda _: '{"log_level":"info"}', 0)

    def answers(times: int, at_ms: int) -> int:
        answered = 0
        for _ in range(times):
            with database.writing() as connection:
                store.published(connection, store.waiting(connection, 9))
            ingest.take([Arrived(topic, payload, False, at_ms)])
            with database.reading() as connection:
                answered += len(store.waiting(connection, 9))
        return answered

    assert answers(100, 1) == 10
    now[0] = 30.0
    assert answers(100, 30_001) == 3
