"""Totals of what is counted: which counter a line's crossings belong to, and that they only rise."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Direction = Literal["in", "out"]
Totals = Mapping[str, Mapping[Direction, int]]
"""Crossings since the counter began, by label and direction."""


@dataclass(frozen=True)
class LineDefinition:
    """A line as it is counted, or anything else of a camera whose total only rises.

    Args:
        camera: its camera.
        line: its name, another one for each that a camera has.
        digest: over all that decides what crosses it; another digest is another counter.
    """

    camera: str
    line: str
    digest: str


@dataclass(frozen=True)
class Counter:
    """An open counter and its committed totals.

    Args:
        counter_id: unique for ever.
        definition: the line that it counts.
        since: when it began, UTC.
        totals: crossings since then, as committed.
    """

    counter_id: str
    definition: LineDefinition
    since: str
    totals: Totals


def open_counters(connection: sqlite3.Connection) -> dict[str, Counter]:
    """The counters that are not closed, by their id."""
    rows = connection.execute(
        "SELECT counter_id, camera, line, definition, since, totals FROM counters WHERE ended IS NULL"
    )
    return {
        counter_id: Counter(counter_id, LineDefinition(camera, line, digest), since, json.loads(totals))
        for counter_id, camera, line, digest, since, totals in rows
    }


def settle(
    connection: sqlite3.Connection, counters: Iterable[Counter], wanted: Iterable[LineDefinition], now: str
) -> dict[str, Counter]:
    """Close the counters whose line is gone or changed, begin those that are missing.

    Args:
        connection: inside a transaction.
        counters: the open ones.
        wanted: the lines that are counted from now on.
        now: UTC; the end of the one and the beginning of the other.

    Returns:
        The open counters, by their id.
    """
    missing = {(line.camera, line.line): line for line in wanted}
    kept = {}
    for counter in counters:
        key = (counter.definition.camera, counter.definition.line)
        if missing.get(key) == counter.definition:
            kept[counter.counter_id] = counter
            del missing[key]
        else:
            connection.execute("UPDATE counters SET ended = ? WHERE counter_id = ?", (now, counter.counter_id))
    return kept | {new.counter_id: new for new in (_begin(connection, line, now) for line in missing.values())}


def write(connection: sqlite3.Connection, counters: Mapping[str, Counter], totals: Mapping[str, Totals]) -> None:
    """Write the totals that rose.

    Raises:
        ValueError: a counter is not open, or a total would fall (a bug of the caller: nobody may bill on it).
    """
    for counter_id, new in totals.items():
        if counter_id not in counters:
            raise ValueError(f"counter {counter_id!r} should be open, but is unknown or closed")
        old = counters[counter_id].totals
        _check_rising(counter_id, old, new)
        if new != old:
            text = json.dumps(new, separators=(",", ":"), sort_keys=True)
            connection.execute("UPDATE counters SET totals = ? WHERE counter_id = ?", (text, counter_id))


def _begin(connection: sqlite3.Connection, line: LineDefinition, now: str) -> Counter:
    counter = Counter(uuid.uuid4().hex, line, now, {})
    connection.execute(
        "INSERT INTO counters VALUES (?, ?, ?, ?, ?, NULL, '{}')",
        (counter.counter_id, line.camera, line.line, line.digest, now),
    )
    return counter


def _check_rising(counter_id: str, old: Totals, new: Totals) -> None:
    for label, directions in old.items():
        for direction, before in directions.items():
            after = new.get(label, {}).get(direction, 0)
            if after < before:
                raise ValueError(
                    f"counter {counter_id!r}: {label} {direction} should not fall, but would from {before} to {after}"
                )
