"""The SQLite file: how it is opened, what its errors mean, and what happens where it is damaged."""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import logging
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from agent.store import drift
from contracts.errors import DeviceError, StorageError

_log = logging.getLogger(__name__)

NAME = "edgetally.db"
SCHEMA = 1
_CREATE = """
CREATE TABLE identity (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    store_id TEXT NOT NULL,
    next_seq INTEGER NOT NULL,
    dropped INTEGER NOT NULL
);
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL,
    created REAL NOT NULL,
    committed_at REAL NOT NULL,
    boot_id TEXT NOT NULL
);
CREATE TABLE counters (
    counter_id TEXT PRIMARY KEY,
    camera TEXT NOT NULL,
    line TEXT NOT NULL,
    definition TEXT NOT NULL,
    since TEXT NOT NULL,
    ended TEXT,
    totals TEXT NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX open_counters ON counters (camera, line) WHERE ended IS NULL;
"""
# Added later; a version that does not know it leaves it alone, so it is no other schema.
_REMEMBERED = "CREATE TABLE IF NOT EXISTS remembered (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"
_SIDE_FILES = ("", "-wal", "-shm")
_KEPT = 3  # damaged databases that are kept for whoever investigates; a dying card must not fill itself with them
_BUSY_SECONDS = 5.0  # somebody may look into the file with the sqlite3 command

_ERRNO_BY_TEXT = {
    "full": errno.ENOSPC,
    "readonly": errno.EROFS,
    "unable to open": errno.EACCES,
    "locked": errno.EBUSY,
}
_DAMAGE = ("malformed", "not a database", "corrupt")


class DamagedError(DeviceError):
    """The database's own structure is broken.

    Args:
        path: the database.
        problem: what SQLite said.
    """

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            f"the database {path} is damaged ({problem}); restart the agent: it moves the file aside "
            "and begins a new store, with new counters"
        )


class NewerSchemaError(DeviceError):
    """A newer edgetally wrote the database."""

    def __init__(self, path: Path, found: int) -> None:
        super().__init__(
            f"{path} was written by a newer edgetally (schema {found}, this one knows {SCHEMA}); "
            "install that version again, or choose another 'state_dir'"
        )


def make_directory(directory: Path) -> None:
    """Make the state directory, so that it survives a power cut.

    Raises:
        StorageError: it cannot be made.
    """
    if directory.is_dir():
        return
    try:
        directory.mkdir(parents=True, exist_ok=True)
        sync_directory(directory.parent)
    except OSError as error:
        raise StorageError(str(directory), error) from error


def sync_directory(directory: Path) -> None:
    """Write a folder's entries to the disk: a new file is not there after a power cut without it."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_database(directory: Path, store_id: str, now: float) -> sqlite3.Connection:
    """Open the database of a state directory, or begin one.

    Args:
        directory: the state directory, held by the caller.
        store_id: what a new one is called.
        now: seconds since 1970, for the name of a damaged one.

    Raises:
        NewerSchemaError: a newer edgetally wrote it.
        StorageError: the disk is full, read-only or not writable.
    """
    path = directory / NAME
    with storage_errors(path):
        try:
            return _open(path, store_id)
        except DamagedError as error:
            _move_aside(path, now, str(error))
        return _open(path, store_id)


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's and the system's errors into ours.

    Raises:
        DamagedError: the database's own structure is broken.
        StorageError: the disk is full, read-only or not writable.
    """
    try:
        yield
    except sqlite3.Error as error:
        text = str(error)
        if any(word in text for word in _DAMAGE):
            raise DamagedError(path, text) from error
        raise StorageError(str(path), _as_os_error(text)) from error
    except OSError as error:
        raise StorageError(str(path), error) from error


def _as_os_error(text: str) -> OSError:
    """SQLite's sentence as the errno whose cure fits; Python 3.10 has no error codes to go by."""
    for word, code in _ERRNO_BY_TEXT.items():
        if word in text:
            return OSError(code, text)
    return OSError(errno.EIO, text)


def _open(path: Path, store_id: str) -> sqlite3.Connection:
    is_new = not path.exists()
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        with storage_errors(path):
            _prepare(connection, path, store_id)
            if is_new:
                sync_directory(path.parent)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, store_id: str) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # a committed report survives a power cut, not only a crash
    connection.execute("PRAGMA wal_autocheckpoint = 0")  # the store checkpoints, and so knows what it wrote
    connection.execute("PRAGMA journal_size_limit = 8388608")
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA:
        raise NewerSchemaError(path, version)
    problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if problem != "ok":
        raise DamagedError(path, problem)
    if version == 0:
        _create(connection, store_id)
    for statement in (_REMEMBERED, *drift.CREATE.split(";")):
        connection.execute(statement)
    if connection.execute("SELECT count(*) FROM identity").fetchone()[0] != 1:
        raise DamagedError(path, "it has no identity")


def _create(connection: sqlite3.Connection, store_id: str) -> None:
    """Tables, identity and version in one transaction: a database is whole or empty."""
    for statement in ("BEGIN IMMEDIATE", *_CREATE.split(";")):
        connection.execute(statement)
    connection.execute("INSERT INTO identity VALUES (1, ?, 1, 0)", (store_id,))
    connection.execute(f"PRAGMA user_version = {SCHEMA}")
    connection.execute("COMMIT")


def _move_aside(path: Path, now: float, problem: str) -> None:
    stamp = dt.datetime.fromtimestamp(now, dt.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    target = path.with_name(f"{path.name}.corrupt-{stamp}")
    for side in _SIDE_FILES:
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + side).rename(target.with_name(target.name + side))
    sync_directory(path.parent)
    _log.error("%s; moved to %s, reports that waited in it were not sent", problem, target)
    _forget_old(path)


def _forget_old(path: Path) -> None:
    aside = sorted(path.parent.glob(f"{path.name}.corrupt-*Z"))
    for old in aside[:-_KEPT]:
        for side in _SIDE_FILES:
            old.with_name(old.name + side).unlink(missing_ok=True)
