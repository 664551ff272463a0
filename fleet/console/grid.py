"""The fleet as squares coloured by state, drawn so that ten thousand boxes are a few kilobytes.

Few boxes are a square each, by id, with a link. Many are sorted by state, so that a row of the grid is a few dashed
lines, each dash a box; of very many a dash stands for several.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from fleet.console.views import health
from fleet.inventory.box_state import BOX_STATES, BoxState
from fleet.store.devices import StoredDevice

SINGLE = 500
"""Up to so many boxes each has a link of its own."""

MOST_SQUARES = 10_000
"""More boxes than that share squares."""

CELL = 12  # user units from square to square; a square is 10 wide
_COLUMNS = 50


@dataclass(frozen=True)
class Square:
    """One box: its corner in user units."""

    device: str
    state: BoxState
    x: int
    y: int


@dataclass(frozen=True)
class ClassGrid:
    """The boxes of a hardware class.

    Args:
        name: of the class.
        total: how many boxes.
        counts: how many are how, those that are not none.
        width: of the drawing, user units; so the height.
        squares: one a box, or none.
        dashes: of each state a path whose dashes are boxes, or none.
    """

    name: str
    total: int
    counts: tuple[tuple[BoxState, int], ...]
    width: int
    height: int
    squares: tuple[Square, ...] = ()
    dashes: tuple[tuple[BoxState, str], ...] = ()


@dataclass(frozen=True)
class Grid:
    """The fleet: of how many boxes a square is, and the hardware classes."""

    each: int
    classes: tuple[ClassGrid, ...]


def grid(stored: Iterable[StoredDevice]) -> Grid:
    """Draw boxes, which come by id."""
    boxes = sorted(((one.device.hardware_class, one.device.device, health(one)) for one in stored), key=lambda b: b[0])
    each = -(-len(boxes) // MOST_SQUARES) or 1
    classes = []
    for name, group in groupby(boxes, key=lambda box: box[0]):
        of_it = [(device, state) for _, device, state in group]
        single = len(boxes) <= SINGLE
        classes.append(_single(name, of_it) if single else _dashed(name, Counter(s for _, s in of_it), each))
    return Grid(each, tuple(classes))


def _single(name: str, boxes: list[tuple[str, BoxState]]) -> ClassGrid:
    squares = tuple(
        Square(device, state, n % _COLUMNS * CELL, n // _COLUMNS * CELL) for n, (device, state) in enumerate(boxes)
    )
    counts = Counter(state for _, state in boxes)
    return ClassGrid(name, len(boxes), _counts(counts), *_size(len(boxes)), squares=squares)


def _dashed(name: str, counts: Counter[BoxState], each: int) -> ClassGrid:
    """A state that any box is in has a square at least."""
    paths: list[tuple[BoxState, str]] = []
    at = 0
    for state, n in _counts(counts):
        squares = -(-n // each)
        paths.append((state, _path(at, at + squares)))
        at += squares
    return ClassGrid(name, counts.total(), _counts(counts), *_size(at), dashes=tuple(paths))


def _path(start: int, end: int) -> str:
    """A line along each row from one square to another; its dashes are 10 long, 2 apart."""
    rows = []
    while start < end:
        row, column = divmod(start, _COLUMNS)
        n = min(end - start, _COLUMNS - column)
        rows.append(f"M{column * CELL} {row * CELL + 5}h{n * CELL - 2}")
        start += n
    return "".join(rows)


def _counts(counts: Counter[BoxState]) -> tuple[tuple[BoxState, int], ...]:
    return tuple((state, counts[state]) for state in BOX_STATES if counts[state])


def _size(squares: int) -> tuple[int, int]:
    return _COLUMNS * CELL - 2, -(-squares // _COLUMNS) * CELL - 2
