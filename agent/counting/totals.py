"""Crossings added up: of a window, and since a counter began."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from agent.counting.lines import Crossing, Direction
from contracts.config import LineConfig

_DIRECTIONS: tuple[Direction, ...] = ("in", "out")

Tally = Mapping[str, Mapping[Direction, int]]
"""Crossings by label and direction; a label that never crossed is missing."""


def tally(crossings: Iterable[Crossing]) -> dict[str, dict[Direction, int]]:
    """Crossings of one line, added up."""
    counted: dict[str, dict[Direction, int]] = {}
    for crossing in crossings:
        ways = counted.setdefault(crossing.label, {"in": 0, "out": 0})
        ways[crossing.direction] += 1
    return counted


def in_all(counted: Tally, direction: Direction) -> int:
    """Crossings one way, of all labels."""
    return sum(ways.get(direction, 0) for ways in counted.values())


@dataclass(frozen=True)
class LineTotals:
    """What a line's counter stands at; it only rises.

    Args:
        counter_id: unique for ever; another line, or a new store, is another counter.
        since: when it began, UTC.
        by_label: crossings since then.
    """

    counter_id: str
    since: str
    by_label: Tally = field(default_factory=dict)

    @property
    def total_in(self) -> int:
        """All that went in."""
        return in_all(self.by_label, "in")

    @property
    def total_out(self) -> int:
        """All that went out."""
        return in_all(self.by_label, "out")

    def add(self, crossed: Tally) -> LineTotals:
        """The totals after a window's crossings of this line."""
        return replace(self, by_label=added(self.by_label, crossed))


def added(one: Tally, other: Tally) -> dict[str, dict[Direction, int]]:
    """Two tallies together; both stay as they are."""
    return {
        label: {way: _of(one, label, way) + _of(other, label, way) for way in _DIRECTIONS} for label in {**one, **other}
    }


def _of(counted: Tally, label: str, way: Direction) -> int:
    return counted.get(label, {}).get(way, 0)


def definition_digest(camera_id: str, line: LineConfig) -> str:
    """SHA-256, in hexadecimal, of all that decides what crosses a line; another digest is another counter.

    Labels count as a set: written in another order they are the same line.
    """
    definition = {
        "camera": camera_id,
        "line": line.name,
        "start": line.start,
        "end": line.end,
        "labels": sorted(set(line.labels)),
        "anchor": line.anchor,
    }
    return hashlib.sha256(json.dumps(definition, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
