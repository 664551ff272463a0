"""What a camera used to be like, hour by hour: bounded, and begun anew where the camera shows something else."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent.drift.baseline import WEEKS, Baseline, FirstHour, PastHour
from agent.drift.hours import HourOfWeek
from agent.drift.judge import Learned
from contracts.errors import UnknownNameError

# Added later; a version that does not know them leaves them alone, so they are no other schema.
CREATE = """
CREATE TABLE IF NOT EXISTS drift (
    camera TEXT PRIMARY KEY,
    definition TEXT NOT NULL,
    since TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS drift_first (
    camera TEXT NOT NULL,
    number INTEGER NOT NULL,
    brightness REAL NOT NULL,
    sharpness REAL NOT NULL,
    spread TEXT NOT NULL,
    PRIMARY KEY (camera, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS drift_past (
    camera TEXT NOT NULL,
    slot INTEGER NOT NULL,
    week INTEGER NOT NULL,
    amount REAL NOT NULL,
    seconds REAL NOT NULL,
    empty REAL NOT NULL,
    brightness REAL NOT NULL,
    usual REAL,
    PRIMARY KEY (camera, slot, week)
) WITHOUT ROWID;
"""
_HOURS = ("drift_first", "drift_past")
_TABLES = ("drift", *_HOURS)


@dataclass(frozen=True)
class LearnedHour:
    """What an hour of a camera adds.

    Args:
        camera: its id.
        definition: digest of what the camera shows, for which it was learned.
        learned: what is added.
    """

    camera: str
    definition: str
    learned: Learned


def settle(connection: sqlite3.Connection, wanted: Mapping[str, str], now: str) -> dict[str, Baseline]:
    """Forget cameras that are gone or show something else, begin those that are missing.

    Args:
        connection: inside a transaction.
        wanted: every camera's id, and a digest of what it shows.
        now: UTC; when a new past begins.

    Returns:
        The past of each camera.
    """
    known = connection.execute("SELECT camera, definition FROM drift").fetchall()
    for camera in (camera for camera, definition in known if wanted.get(camera) != definition):
        for table in _TABLES:
            connection.execute(f"DELETE FROM {table} WHERE camera = ?", (camera,))  # noqa: S608 - a name of ours
    rows = [(camera, definition, now) for camera, definition in wanted.items()]
    connection.executemany("INSERT OR IGNORE INTO drift VALUES (?, ?, ?)", rows)
    return {camera: _read(connection, camera) for camera in wanted}


def begin_anew(connection: sqlite3.Connection, camera: str, now: str) -> Baseline:
    """Forget what a camera used to be like; inside a transaction.

    Args:
        connection: of the store.
        camera: its id.
        now: UTC; when its new past begins.

    Raises:
        UnknownNameError: nothing is kept of such a camera.
    """
    known = [name for (name,) in connection.execute("SELECT camera FROM drift")]
    if camera not in known:
        raise UnknownNameError("camera", camera, known)
    for table in _HOURS:
        connection.execute(f"DELETE FROM {table} WHERE camera = ?", (camera,))  # noqa: S608 - a name of ours
    connection.execute("UPDATE drift SET since = ? WHERE camera = ?", (now, camera))
    return Baseline(now)


def write(connection: sqlite3.Connection, hours: Iterable[LearnedHour]) -> None:
    """Keep hours; inside a transaction. Those of a camera that shows something else by now are passed over."""
    for hour in hours:
        row = connection.execute("SELECT definition FROM drift WHERE camera = ?", (hour.camera,)).fetchone()
        if row is not None and row[0] == hour.definition:
            _write_one(connection, hour.camera, hour.learned)


def _write_one(connection: sqlite3.Connection, camera: str, learned: Learned) -> None:
    if learned.first is not None:
        first = learned.first
        row = (camera, learned.number, first.brightness, first.sharpness, json.dumps(first.spread))
        connection.execute("INSERT OR REPLACE INTO drift_first VALUES (?, ?, ?, ?, ?)", row)
    if learned.past is not None:
        past, place = learned.past, learned.past.place
        known = (past.amount, past.seconds, past.empty, past.brightness, past.usual)
        connection.execute(
            "DELETE FROM drift_past WHERE camera = ? AND slot = ? AND NOT week BETWEEN ? AND ?",
            (camera, place.slot, place.week - 7 * WEEKS, place.week),
        )
        connection.execute(
            "INSERT OR REPLACE INTO drift_past VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (camera, place.slot, place.week, *known),
        )


def _read(connection: sqlite3.Connection, camera: str) -> Baseline:
    since = connection.execute("SELECT since FROM drift WHERE camera = ?", (camera,)).fetchone()[0]
    first = connection.execute(
        "SELECT brightness, sharpness, spread FROM drift_first WHERE camera = ? ORDER BY number", (camera,)
    )
    past = connection.execute(
        "SELECT week, slot, amount, seconds, empty, brightness, usual FROM drift_past WHERE camera = ?", (camera,)
    )
    return Baseline(
        since,
        (FirstHour(brightness, sharpness, tuple(json.loads(spread))) for brightness, sharpness, spread in first),
        (PastHour(HourOfWeek(week, slot), *known) for week, slot, *known in past),
    )
