"""Crossings added up: of a window, and since a counter began."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from agent.counting.lines import Crossing, Direction
from contracts.config import LineConfig

Tally = Mapping[str, Mapping[Direction, int]]
"""Crossings by label and direction; a label that never crossed is missing."""


def tally(crossings: Iterable[Crossing], before: Tally | None = None) -> dict[str, dict[Direction, int]]:
    """Add crossings of one line to a tally, which stays as it is."""
    counted: dict[str, dict[Direction, int]] = {label: {**ways} for label, ways in (before or {}).items()}
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

    def add(self, crossings: Iterable[Crossing]) -> LineTotals:
        """The totals after some more crossings of this line."""
        return replace(self, by_label=tally(crossings, self.by_label))


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
