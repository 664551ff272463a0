"""Crossings, and entries into states, added up: of a window, and since a counter began."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from agent.counting.lines import Crossing, Direction
from agent.counting.states import Question
from contracts.config import LineConfig, StatesConfig

_DIRECTIONS: tuple[Direction, ...] = ("in", "out")

Tally = Mapping[str, Mapping[Direction, int]]
"""Crossings by label and direction; a label that never crossed is missing. An entry into a state counts as ``in``."""


def tally(crossings: Iterable[Crossing]) -> dict[str, dict[Direction, int]]:
    """Crossings of one line, added up."""
    counted: dict[str, dict[Direction, int]] = {}
    for crossing in crossings:
        ways = counted.setdefault(crossing.label, {"in": 0, "out": 0})
        ways[crossing.direction] += 1
    return counted


def entries_tally(entries: Mapping[str, int]) -> dict[str, dict[Direction, int]]:
    """Entries into states as a tally."""
    return {state: {"in": number, "out": 0} for state, number in entries.items() if number}


def in_all(counted: Tally, direction: Direction) -> int:
    """Crossings one way, of all labels."""
    return sum(ways.get(direction, 0) for ways in counted.values())


@dataclass(frozen=True)
class LineTotals:
    """What the counter of a line, or of a question's states, stands at; it only rises.

    Args:
        counter_id: unique for ever; another line, or a new store, is another counter.
        since: when it began, UTC.
        by_label: crossings, or entries by state, since then.
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

    @property
    def entries(self) -> dict[str, int]:
        """Entries by state."""
        return {state: ways["in"] for state, ways in self.by_label.items()}

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


def state_key(question: str) -> str:
    """Under which name the counter of a question's states stands among those of lines: none of them has a colon."""
    return f"state:{question}"


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
    return _digest(definition)


def states_digest(camera_id: str, question: Question, rules: StatesConfig | None) -> str:
    """The same of all that decides what enters a state; answers count as a set, too."""
    rules = rules or StatesConfig()
    definition = {
        "camera": camera_id,
        "question": question.name,
        "labels": sorted(question.labels),
        "hold": rules.hold_seconds,
        "unknown": rules.unknown_seconds,
        "stay": rules.stay_score,
    }
    return _digest(definition)


def _digest(definition: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(definition, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
