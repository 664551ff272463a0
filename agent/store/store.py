"""The store: what was counted is committed once, as a whole, before anybody hears of it."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from typing_extensions import Self

from agent.counting.clock import utc_text
from agent.drift.baseline import Baseline
from agent.limited_log import LimitedLog
from agent.store import counters, drift, outbox
from agent.store.counters import Counter, LineDefinition, Totals
from agent.store.database import NAME, make_directory, open_database, storage_errors
from agent.store.lock import DirectoryLock
from agent.store.outbox import ReportDraft, Row
from agent.store.written import LogMeter
from contracts.config import AgentConfig

_ACKNOWLEDGED_AT_ONCE = 500  # acknowledgements that may wait for the next window's transaction
_CHECKPOINT_EVERY = 1000  # rows changed: about 5 MB of log
_LEAST_MEASURED = 60.0  # seconds before what was written is scaled to a day
_LEAST_JUDGED = 3600.0  # seconds before it is compared with what may be written: the start is no usual hour
_DAY = 86_400.0  # seconds
_SAY_FULL_EVERY = 3600.0  # seconds

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoreStatus:
    """How full the outbox is.

    Args:
        waiting: reports that no broker has acknowledged.
        dropped: reports dropped since the store began, as there were too many.
        written_bytes: how much was written to the disk since it was opened, without the file system's own.
        written_per_day: the same scaled to a day; None in the first minute.
    """

    waiting: int
    dropped: int
    written_bytes: int
    written_per_day: int | None = None


class Store:
    """Totals, sequence numbers and waiting reports of a box, on disk. Safe to call from several threads.

    Acknowledged reports are forgotten with the next window's transaction, so that a window costs one write: after a
    crash the last few may be sent twice, which their numbers make harmless.

    Args:
        directory: the state directory.
        connection: its database.
        lock: held until closed.
        max_reports: the oldest are dropped beyond this.
        daily_bytes: more than this written to the disk in a day is said in the log.
        wall: seconds since 1970.
        monotonic: seconds since boot.
    """

    def __init__(
        self,
        directory: Path,
        connection: sqlite3.Connection,
        lock: DirectoryLock,
        *,
        max_reports: int,
        daily_bytes: float | None,
        wall: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._path = directory / NAME
        self._connection = connection
        self._directory_lock = lock
        self._max_reports = max_reports
        self._daily_bytes = daily_bytes
        self._say_budget_at = monotonic() + _LEAST_JUDGED
        self._wall = wall
        self._monotonic = monotonic
        self._mutex = threading.RLock()
        self._acknowledged: set[int] = set()
        self._status: StoreStatus | None = None
        self._changes_moved = 0
        self._opened_at = monotonic()
        self._meter = LogMeter(self._path)
        self._full = LimitedLog(_log, _SAY_FULL_EVERY, monotonic)
        with storage_errors(self._path):
            self.store_id: str = connection.execute("SELECT store_id FROM identity").fetchone()[0]
            self._rows: int = connection.execute("SELECT count(*) FROM outbox").fetchone()[0]
            self._counters = counters.open_counters(connection)

    @classmethod
    def of(cls, config: AgentConfig) -> Store:
        """The store of a box, as its configuration bounds it; raises as `open`."""
        daily_mb = config.outbox.daily_write_mb
        return cls.open(
            Path(config.state_dir),
            max_reports=config.outbox.max_reports,
            daily_bytes=None if daily_mb is None else daily_mb * 1e6,
        )

    @classmethod
    def open(
        cls,
        state_dir: Path,
        *,
        max_reports: int = 100_000,
        daily_bytes: float | None = None,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> Self:
        """Open the store of a state directory, or begin one.

        A damaged database is moved aside and a new store begins, under a new ``store_id`` and with new counters.

        Args:
            state_dir: a folder; made where it is missing.
            max_reports: reports that wait for the broker; the oldest are dropped, and counted, beyond this.
            daily_bytes: more than this written to the disk in a day is said in the log; None for never.
            wall: seconds since 1970.
            monotonic: seconds since boot.

        Raises:
            StateInUseError: another agent runs on it.
            NewerSchemaError: a newer edgetally wrote it.
            StorageError: the disk is full, read-only or not writable.
        """
        make_directory(state_dir)
        lock = DirectoryLock(state_dir)
        try:
            connection = open_database(state_dir, uuid.uuid4().hex, wall())
            return cls(
                state_dir,
                connection,
                lock,
                max_reports=max_reports,
                daily_bytes=daily_bytes,
                wall=wall,
                monotonic=monotonic,
            )
        except BaseException:
            lock.close()
            raise

    def counters(self, lines: Sequence[LineDefinition]) -> dict[tuple[str, str], Counter]:
        """Say which lines are counted from now on; every other counter is closed.

        A line that moved, or counts other labels, has another digest and so begins a new counter.

        Args:
            lines: all lines of all cameras.

        Returns:
            The counter of each line, with its committed totals, by camera and line.

        Raises:
            StorageError: it could not be committed.
        """
        with self._mutex:
            with self._transaction():
                new = counters.settle(self._connection, self._counters.values(), lines, utc_text(self._wall()))
            self._counters = new
            return {(c.definition.camera, c.definition.line): c for c in new.values()}

    def commit(self, drafts: Sequence[ReportDraft], totals: Mapping[str, Totals], *, lost: int = 0) -> list[int]:
        """Commit a window: all its reports and totals, or nothing.

        Args:
            drafts: reports of all cameras.
            totals: new totals by counter id; counters that are not named keep theirs.
            lost: reports before these that nobody will get: their numbers are left out, and they count as dropped.

        Returns:
            The numbers of the reports.

        Raises:
            StorageError: nothing was committed; the same totals may be given again, with the next window's.
            DamagedError: the database broke; only a restart helps.
            ValueError: a counter is not open, or a total would fall.
        """
        with self._mutex:
            with self._transaction():
                counters.write(self._connection, self._counters, totals)
                rows = self._rows - outbox.remove(self._connection, self._acknowledged)
                outbox.leave_out(self._connection, lost)
                numbers = outbox.append(self._connection, drafts, created=self._wall(), committed_at=self._monotonic())
                rows += len(drafts)
                excess = max(0, rows - self._max_reports)
                if excess:
                    outbox.drop_oldest(self._connection, excess)
            self._rows = rows - excess
            if excess:
                self._full.error(
                    "%s: %d reports wait for the broker, the most that 'outbox.max_reports' allows; the oldest are "
                    "dropped, and counted",
                    self._path,
                    self._rows,
                )
            self._acknowledged.clear()
            for counter_id, new in totals.items():
                self._counters[counter_id] = replace(self._counters[counter_id], totals=new)
            self._judge_budget()
            return numbers

    def waiting(self, after_seq: int, limit: int) -> list[Row]:
        """Reports that no broker has acknowledged.

        Args:
            after_seq: only those with a higher number; 0 for all.
            limit: at most this many; fewer come only where there are no more.

        Raises:
            StorageError: they could not be read.
        """
        found: list[Row] = []
        with self._mutex, storage_errors(self._path):
            while len(found) < limit:
                rows = outbox.read(self._connection, after_seq, limit - len(found))
                if not rows:
                    break
                after_seq = rows[-1].seq
                found += [row for row in rows if row.seq not in self._acknowledged]
        return found

    def acknowledge(self, seqs: Iterable[int]) -> None:
        """Forget reports that the broker has; at the latest when the store is closed.

        Raises:
            StorageError: it could not be committed; they are forgotten later.
        """
        with self._mutex:
            self._acknowledged.update(seqs)
            if len(self._acknowledged) >= _ACKNOWLEDGED_AT_ONCE:
                self._forget()

    def discard(self, seqs: Sequence[int]) -> None:
        """Drop, and count, reports that no broker will ever take.

        Raises:
            StorageError: it could not be committed.
        """
        with self._mutex:
            with self._transaction():
                removed = outbox.remove(self._connection, seqs)
                self._connection.execute("UPDATE identity SET dropped = dropped + ?", (removed,))
            self._rows -= removed

    def status(self) -> StoreStatus:
        """How full the outbox is; while the disk is being written, how it was when it was asked before.

        Raises:
            StorageError: it could not be read.
        """
        if not self._mutex.acquire(blocking=self._status is None):
            assert self._status is not None, "it would have waited"
            return self._status
        try:
            with storage_errors(self._path):
                dropped = self._connection.execute("SELECT dropped FROM identity").fetchone()[0]
            waiting, written = max(0, self._rows - len(self._acknowledged)), self._meter.written
            self._status = StoreStatus(waiting, dropped, written, self._per_day(written))
            return self._status
        finally:
            self._mutex.release()

    def remembered(self, key: str) -> str | None:
        """A text that another part of the agent has to know after a restart, None where there is none.

        Raises:
            StorageError: it could not be read.
        """
        with self._mutex, storage_errors(self._path):
            row = self._connection.execute("SELECT value FROM remembered WHERE key = ?", (key,)).fetchone()
            return None if row is None else str(row[0])

    def remember(self, key: str, value: str) -> None:
        """Keep a text, on the disk when it returns.

        Raises:
            StorageError: it could not be committed.
        """
        with self._mutex, self._transaction():
            self._connection.execute("INSERT OR REPLACE INTO remembered VALUES (?, ?)", (key, value))

    def baselines(self, cameras: Mapping[str, str]) -> dict[str, Baseline]:
        """Say which cameras are watched for drift from now on; what was known of every other one is forgotten.

        Args:
            cameras: a digest of what each shows; another digest begins anew.

        Returns:
            The past of each.

        Raises:
            StorageError: it could not be committed.
        """
        with self._mutex, self._transaction():
            return drift.settle(self._connection, cameras, utc_text(self._wall()))

    def learn(self, hours: Sequence[drift.LearnedHour]) -> None:
        """Keep hours of cameras, on the disk when it returns.

        Raises:
            StorageError: it could not be committed.
        """
        with self._mutex, self._transaction():
            drift.write(self._connection, hours)

    def begin_anew(self, camera: str) -> Baseline:
        """Forget what a camera used to be like, on the disk when it returns.

        Raises:
            UnknownNameError: nothing is kept of such a camera.
            StorageError: it could not be committed.
        """
        with self._mutex, self._transaction():
            return drift.begin_anew(self._connection, camera, utc_text(self._wall()))

    def close(self) -> None:
        """Write what is left and let go of the directory; twice is harmless.

        Raises:
            StorageError: what was acknowledged could not be forgotten; it may be sent again.
        """
        with self._mutex:
            try:
                if self._acknowledged:
                    self._forget()
            finally:
                self._acknowledged.clear()
                self._connection.close()
                self._meter.close()
                self._directory_lock.close()

    def _forget(self) -> None:
        with self._transaction():
            removed = outbox.remove(self._connection, self._acknowledged)
        self._rows -= removed
        self._acknowledged.clear()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing, on the disk when it returns.

        Raises:
            StorageError: nothing was committed.
            DamagedError: nothing was committed, nor will be.
        """
        with storage_errors(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        self._meter.look()
        if self._connection.total_changes - self._changes_moved >= _CHECKPOINT_EVERY:
            self._checkpoint()

    def _checkpoint(self) -> None:
        """Move the log into the database."""
        self._changes_moved = self._connection.total_changes
        # What failed here is tried again with a later window; the log itself is complete and durable.
        with contextlib.suppress(sqlite3.Error):
            _, _, moved = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            pages = self._connection.execute("PRAGMA page_count").fetchone()[0]
            self._meter.moved(min(moved, pages))

    def _judge_budget(self) -> None:
        """Say once a day that more is written than was allowed."""
        if self._daily_bytes is None or self._monotonic() < self._say_budget_at:
            return
        daily = self._per_day(self._meter.written) or 0
        if daily > self._daily_bytes:
            _log.warning(
                "%s: %.0f MB a day are written, %.0f MB are allowed ('outbox.daily_write_mb'); longer windows, or "
                "cameras without events, write less",
                self._path,
                daily / 1e6,
                self._daily_bytes / 1e6,
            )
            self._say_budget_at = self._monotonic() + _DAY

    def _per_day(self, written: int) -> int | None:
        seconds = self._monotonic() - self._opened_at
        return round(written * _DAY / seconds) if seconds >= _LEAST_MEASURED else None
