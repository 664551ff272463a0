"""The store: numbers without gaps, totals that only rise, a bounded outbox, and damaged or full disks."""

from __future__ import annotations

import json
import logging
import sqlite3
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.store import Counter, LineDefinition, ReportDraft, StateInUseError, Store, Totals
from agent.store.database import NAME, DamagedError, NewerSchemaError
from agent.store.written import LogMeter
from contracts.errors import StorageError
from contracts.messages import CountReport, Hello
from tests.fakes.reports import COUNTS, draft

NORTH = LineDefinition("gate", "north", "digest-1")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path, max_reports=10)
    yield opened
    opened.close()


def seqs(store: Store, after: int = 0, limit: int = 1000) -> list[int]:
    return [row.seq for row in store.waiting(after, limit)]


def test_a_report_gets_the_stores_id_and_the_next_number(store: Store) -> None:
    assert store.commit([draft(), draft()], {}) == [1, 2]
    assert store.commit([draft()], {}) == [3]

    rows = store.waiting(0, 10)
    report = CountReport.model_validate_json(rows[2].payload)
    assert (report.store_id, report.seq) == (store.store_id, 3)
    assert rows[2].topic == "edgetally/v1/box-1/camera/gate/counts"
    assert rows[2].boot_id == "boot-1"


def test_a_message_without_a_number_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Hello should have the fields \['seq', 'store_id'\]"):
        ReportDraft(COUNTS, Hello(device="box-1", boot_id="boot-1", version="1"))


def test_identity_numbers_totals_and_reports_survive_a_restart(tmp_path: Path) -> None:
    first = Store.open(tmp_path)
    counter = first.counters([NORTH])["gate", "north"]
    first.commit([draft()], {counter.counter_id: {"car": {"in": 2, "out": 1}}})
    first.close()

    second = Store.open(tmp_path)
    assert second.store_id == first.store_id
    again = second.counters([NORTH])["gate", "north"]
    assert again == Counter(counter.counter_id, NORTH, counter.since, {"car": {"in": 2, "out": 1}})
    assert seqs(second) == [1]
    assert second.commit([draft()], {}) == [2]
    second.close()


def test_a_changed_line_is_another_counter_and_the_old_one_keeps_its_end(tmp_path: Path) -> None:
    times = iter([1000.0, 1000.0, 2000.0])
    store = Store.open(tmp_path, wall=lambda: next(times))
    old = store.counters([NORTH])["gate", "north"]
    new = store.counters([LineDefinition("gate", "north", "digest-2")])["gate", "north"]

    assert new.counter_id != old.counter_id
    assert new.totals == {}
    assert new.since == "1970-01-01T00:33:20Z"
    with pytest.raises(ValueError, match="should be open"):
        store.commit([], {old.counter_id: {"car": {"in": 1, "out": 0}}})
    store.close()
    with sqlite3.connect(tmp_path / NAME) as database:
        ended = database.execute("SELECT ended FROM counters WHERE counter_id = ?", (old.counter_id,)).fetchone()[0]
    database.close()
    assert ended == new.since


def test_a_line_that_went_and_came_back_begins_anew(store: Store) -> None:
    first = store.counters([NORTH])["gate", "north"]
    assert store.counters([]) == {}
    assert store.counters([NORTH])["gate", "north"].counter_id != first.counter_id


def test_a_total_never_falls_and_a_refused_window_leaves_nothing(store: Store) -> None:
    counter_id = store.counters([NORTH])["gate", "north"].counter_id
    store.commit([draft()], {counter_id: {"car": {"in": 5, "out": 0}}})
    falls: list[Totals] = [{"car": {"in": 4, "out": 9}}, {}, {"bus": {"in": 5, "out": 0}}]
    for lower in falls:
        with pytest.raises(ValueError, match="car in should not fall, but would from 5"):
            store.commit([draft()], {counter_id: lower})

    assert seqs(store) == [1]
    assert store.commit([draft()], {counter_id: {"car": {"in": 5, "out": 1}}}) == [2]


def test_beyond_the_bound_the_oldest_are_dropped_and_counted(tmp_path: Path) -> None:
    store = Store.open(tmp_path, max_reports=10)
    for _ in range(4):
        store.commit([draft()] * 4, {})
    assert seqs(store) == list(range(7, 17))
    assert store.status().dropped == 6
    store.close()

    again = Store.open(tmp_path, max_reports=10)
    assert (again.status().waiting, again.status().dropped) == (10, 6)
    again.close()


def test_that_the_oldest_are_dropped_is_said_once_an_hour(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    store = Store.open(tmp_path, max_reports=10, monotonic=lambda: now[0])
    for now[0] in (0.0, 10.0, 20.0, 3700.0):
        store.commit([draft()] * 6, {})
    store.close()
    told = [record.getMessage() for record in caplog.records if "the oldest are dropped" in record.getMessage()]
    assert len(told) == 2
    assert "10 reports wait for the broker" in told[0]


def test_acknowledged_reports_do_not_count_as_dropped(store: Store) -> None:
    store.commit([draft()] * 10, {})
    store.acknowledge(range(1, 6))
    store.commit([draft()] * 5, {})
    assert seqs(store) == list(range(6, 16))
    assert store.status().dropped == 0


def test_acknowledged_reports_are_gone_at_once_and_after_a_clean_stop(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.commit([draft()] * 5, {})
    store.acknowledge([2, 4, 99])
    assert seqs(store) == [1, 3, 5]
    assert seqs(store, after=1, limit=1) == [3]
    store.close()
    store.close()

    again = Store.open(tmp_path)
    assert seqs(again) == [1, 3, 5]
    assert again.status().waiting == 3
    again.close()


def test_many_acknowledgements_do_not_wait_for_a_window(tmp_path: Path) -> None:
    big = Store.open(tmp_path / "big")
    big.commit([draft()] * 600, {})
    big.acknowledge(range(1, 601))
    assert big._acknowledged == set()
    assert big.status().waiting == 0
    big.close()


def test_a_discarded_report_is_counted_as_dropped(store: Store) -> None:
    store.commit([draft()] * 3, {})
    store.discard([2, 77])
    assert seqs(store) == [1, 3]
    assert (store.status().waiting, store.status().dropped) == (2, 1)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("commit"), st.integers(0, 7)),
            st.tuples(st.just("acknowledge"), st.integers(1, 60)),
            st.tuples(st.just("discard"), st.integers(1, 60)),
            st.tuples(st.just("restart"), st.just(0)),
        ),
        max_size=30,
    )
)
def test_every_number_is_waiting_acknowledged_or_counted_as_dropped(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    directory = tmp_path_factory.mktemp("state")
    store = Store.open(directory, max_reports=10)
    committed: list[int] = []
    gone: set[int] = set()
    for what, number in steps:
        if what == "commit":
            committed += store.commit([draft()] * number, {})
        elif what == "restart":
            store.close()
            store = Store.open(directory, max_reports=10)
        elif number in seqs(store):
            getattr(store, what)([number])
            gone |= {number} if what == "acknowledge" else set()
    left = seqs(store)
    assert committed == list(range(1, len(committed) + 1))
    assert left == sorted(left)
    assert not gone & set(left)
    assert len(left) + len(gone) + store.status().dropped == len(committed)
    assert store.status().waiting == len(left) <= 10
    store.close()


def test_counting_and_sending_threads_do_not_disturb_each_other(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    done = threading.Event()
    received: list[int] = []

    def send() -> None:
        while not done.is_set() or store.status().waiting:
            found = seqs(store, limit=7)
            received.extend(found)
            store.acknowledge(found)

    sender = threading.Thread(target=send)
    sender.start()
    for _ in range(200):
        store.commit([draft()] * 3, {})
    done.set()
    sender.join(60)
    assert received == list(range(1, 601))
    store.close()


def test_a_second_agent_is_refused_and_told_who_holds_the_directory(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    with pytest.raises(StateInUseError, match=r"is in use by another agent \(pid \d+\); stop that one"):
        Store.open(tmp_path)
    store.close()
    Store.open(tmp_path).close()


_OPEN = """
import pathlib, sys
from agent.store import StateInUseError, Store
try:
    Store.open(pathlib.Path(sys.argv[1])).close()
except StateInUseError as error:
    print(error)
"""


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    command = [sys.executable, "-c", _OPEN, str(tmp_path)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "is in use by another agent" in second.stdout, second.stderr
    store.close()


@pytest.mark.parametrize("damage", ["zeros", "garbage", "header", "truncated", "middle"])
def test_a_damaged_database_is_moved_aside_and_a_new_store_begins(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store.open(tmp_path)
    old = store.counters([NORTH])["gate", "north"]
    store.commit([draft()] * 200, {old.counter_id: {"car": {"in": 9, "out": 9}}})
    store.close()
    path = tmp_path / NAME
    whole = path.read_bytes()
    spoilt = {
        "zeros": bytes(len(whole)),
        "garbage": b"\xa5" * len(whole),
        "header": b"not this" + whole[8:],
        "truncated": whole[:6000],
        "middle": whole[:4096] + bytes(len(whole) - 4096),
    }
    path.write_bytes(spoilt[damage])

    with caplog.at_level(logging.ERROR):
        new = Store.open(tmp_path, wall=lambda: 0.0)
    assert new.store_id != store.store_id
    assert seqs(new) == []
    assert new.counters([NORTH])["gate", "north"].counter_id != old.counter_id
    assert new.commit([draft()], {}) == [1]
    new.close()
    assert (tmp_path / f"{NAME}.corrupt-19700101T000000Z").read_bytes() == spoilt[damage]
    assert "is damaged" in caplog.text


def test_only_a_few_damaged_databases_are_kept(tmp_path: Path) -> None:
    for minute in range(6):
        Store.open(tmp_path, wall=lambda: 0.0).close()
        (tmp_path / NAME).write_bytes(b"\xff" * 8192)
        Store.open(tmp_path, wall=lambda minute=minute: minute * 60.0).close()  # type: ignore[misc]
    kept = sorted(path.name for path in tmp_path.glob("*.corrupt-*"))
    assert kept == [f"{NAME}.corrupt-19700101T000{minute}00Z" for minute in (3, 4, 5)]


def test_damage_that_shows_later_asks_for_a_restart(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.commit([draft()] * 200, {})
    store.close()
    store = Store.open(tmp_path)
    path = tmp_path / NAME
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))
    store._connection.execute("PRAGMA shrink_memory")
    with pytest.raises(DamagedError, match="restart the agent"):
        store.commit([draft()], {})
    store.close()


def test_a_newer_schema_is_refused_not_destroyed(tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    with sqlite3.connect(tmp_path / NAME) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(NewerSchemaError, match="newer edgetally"):
        Store.open(tmp_path)
    assert not list(tmp_path.glob("*.corrupt-*"))


def test_a_full_disk_refuses_the_window_as_a_whole_and_it_can_be_given_again(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    counter_id = store.counters([NORTH])["gate", "north"].counter_id
    store.commit([draft()], {counter_id: {"car": {"in": 1, "out": 0}}})
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageError, match="free some space"):
        store.commit([draft()] * 500, {counter_id: {"car": {"in": 2, "out": 0}}})
    assert seqs(store) == [1]
    assert store.status().waiting == 1

    store._connection.execute("PRAGMA max_page_count = 1000000")
    assert store.commit([draft()], {counter_id: {"car": {"in": 2, "out": 0}}}) == [2]
    store.close()


def test_a_read_only_disk_says_so(store: Store) -> None:
    store._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StorageError, match="mount it writable"):
        store.commit([draft()], {})
    store._connection.execute("PRAGMA query_only = OFF")


def test_a_state_directory_that_is_a_file_is_said(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_text("")
    with pytest.raises(StorageError, match="state"):
        Store.open(path)


def written_by_this_process() -> int:
    """Bytes that this process handed to the system to write, files and pipes (proc(5), ``wchar``)."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["wchar"])


@pytest.mark.parametrize("windows", [1, 30, 600])
def test_what_was_written_is_what_the_system_was_given(tmp_path: Path, windows: int) -> None:
    store = Store.open(tmp_path)
    counter = store.counters([NORTH])["gate", "north"].counter_id
    before, counted = written_by_this_process(), store.status().written_bytes
    for n in range(windows):
        (seq,) = store.commit([draft()], {counter: {"car": {"in": n, "out": 0}}})
        store.acknowledge([seq])
    wrote, says = written_by_this_process() - before, store.status().written_bytes - counted
    store.close()
    assert says == pytest.approx(wrote, rel=0.01, abs=500)


def test_a_log_that_begins_anew_is_counted_from_its_beginning(tmp_path: Path) -> None:
    index = tmp_path / "x.db-shm"

    def log(frames: int, salt: int) -> None:
        index.write_bytes(bytes(16) + struct.pack("=I", frames) + bytes(12) + struct.pack("=II", salt, 0) + bytes(8))

    log(10, salt=1)
    meter = LogMeter(tmp_path / "x.db")
    meter.look()
    assert meter.written == 0, "what was there before is somebody else's"
    for frames, salt, new in ((13, 1, 3), (13, 1, 0), (4, 2, 4), (9, 2, 5)):
        before = meter.written
        log(frames, salt)
        meter.look()
        assert meter.written - before == new * (4096 + 24)
    index.unlink()
    meter.look()
    meter.moved(2)
    assert meter.written == 12 * 4120 + 2 * 4096


TAKES_ITSELF_FOR_THE_FIRST = """
import fcntl, sys
with open(sys.argv[1], "r+b") as index:
    try:
        fcntl.lockf(index, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 128)  # UNIX_SHM_DMS in SQLite's os_unix.c
    except OSError:
        sys.exit(1)
"""


def test_who_reads_the_database_from_outside_sees_that_it_is_in_use(store: Store, tmp_path: Path) -> None:
    # One that does not cuts the index of the log short: under the agent's hands, which dies of SIGBUS.
    store.commit([draft()], {})
    command = [sys.executable, "-c", TAKES_ITSELF_FOR_THE_FIRST, str(tmp_path / f"{NAME}-shm")]
    assert subprocess.run(command, check=False).returncode == 1


def test_what_was_written_is_scaled_to_a_day(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    now = 1000.0
    store = Store.open(tmp_path, monotonic=lambda: now, daily_bytes=1e6)
    assert store.status().written_per_day is None
    store.commit([draft()] * 100, {})
    now += 3600.0
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            store.commit([draft()], {})
    status = store.status()
    assert status.written_per_day == status.written_bytes * 24
    store.close()
    (record,) = caplog.records
    assert "MB a day are written, 1 MB are allowed ('outbox.daily_write_mb')" in record.getMessage()


def test_numbers_of_lost_reports_are_left_out_and_counted_for_good(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    assert store.commit([draft()], {}) == [1]
    assert store.commit([draft()], {}, lost=3) == [5]
    store.close()
    again = Store.open(tmp_path)
    assert (again.status().dropped, again.commit([draft()], {})) == (3, [6])
    again.close()


def test_a_remembered_text_survives_a_restart_and_an_older_version_of_the_agent(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    assert store.remembered("what") is None
    store.remember("what", "old")
    store.remember("what", "new")
    store.close()
    again = Store.open(tmp_path)
    assert again.remembered("what") == "new"
    again.close()
    with sqlite3.connect(tmp_path / NAME) as database:  # a store from before
        database.execute("DROP TABLE remembered")
    database.close()
    older = Store.open(tmp_path)
    assert (older.store_id, older.remembered("what")) == (store.store_id, None)
    older.close()


def test_the_wire_form_uses_the_contracts_names(store: Store) -> None:
    store.commit([draft()], {})
    assert json.loads(store.waiting(0, 1)[0].payload)["late"] is False
