"""Where the points of the speed-against-accuracy plot lie: pure geometry, in the units of the SVG.

Latency goes to the right on a logarithmic scale, loss upwards from 0 on a linear one. A loss far beyond the budget is
pinned to the top edge, so that one bad artifact does not press all others together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEFT, TOP, RIGHT, BOTTOM = 42, 30, 408, 340
WIDTH, HEIGHT = RIGHT + 10, BOTTOM + 44
_MARGIN = 14  # of the plot's sides to the nearest point
_GLYPH, _LINE = 6.6, 15.0  # widths and heights of 12 px text, a little too large rather than too small
_GAP = 13.0  # from a point to its label
_BEYOND = 3.0  # budgets up to which losses are drawn to scale
_ROOM = 1.3  # between the outermost points and the ends of the axis; squared it holds a fine step
_DECADES, _COARSE, _FINE = (1.0,), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)
_MOST_TICKS = 8


@dataclass(frozen=True)
class Point:
    """One row to be drawn.

    Args:
        label: its name.
        latency_ms: above 0.
        loss: a share, 0 or more.
    """

    label: str
    latency_ms: float
    loss: float


@dataclass(frozen=True)
class Placed:
    """Where a point and its label are drawn.

    Args:
        x: of the point.
        y: of the point, downwards.
        label: of the point; a pinned one has an arrow and says its loss.
        label_x: where the label begins (or ends).
        label_y: its base line.
        anchor: ``start`` or ``end``, as SVG's ``text-anchor``.
        pinned: whether the loss lies beyond the scale.
    """

    x: float
    y: float
    label: str
    label_x: float
    label_y: float
    anchor: str
    pinned: bool


@dataclass(frozen=True)
class Tick:
    """A line of the grid and its text."""

    at: float
    text: str


@dataclass(frozen=True)
class Area:
    """The whole drawing, and the plot inside its axes."""

    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    top: int = TOP
    right: int = RIGHT
    bottom: int = BOTTOM


@dataclass(frozen=True)
class Scatter:
    """All that the drawing needs.

    Args:
        points: as they came.
        x_ticks: milliseconds.
        y_ticks: per cent.
        budget_y: where the budget's line lies.
    """

    points: tuple[Placed, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    budget_y: float


def scatter(points: Sequence[Point], max_loss: float) -> Scatter:
    """Lay the plot out.

    Args:
        points: at least one.
        max_loss: the budget, above 0.

    Raises:
        ValueError: there is no point, or one has no finite latency above 0 and loss from 0 on.
    """
    for point in points:
        if not (0 < point.latency_ms < math.inf and 0 <= point.loss < math.inf):
            raise ValueError(f"expected a latency above 0 and a loss from 0 on, got {point}")
    if not points:
        raise ValueError("expected at least one point")
    x_scale = _LogScale.over([point.latency_ms for point in points])
    top = _top([point.loss for point in points], max_loss)
    spots = [(x_scale.at(point.latency_ms), _y(point.loss, top), point.loss > top) for point in points]
    labels = [
        f"\N{UPWARDS ARROW} {p.label} ({p.loss:.0%})" if spot[2] else p.label
        for p, spot in zip(points, spots, strict=True)
    ]
    return Scatter(
        points=_with_labels(spots, labels),
        x_ticks=tuple(Tick(x_scale.at(value), f"{value:g}") for value in x_scale.ticks()),
        y_ticks=tuple(Tick(_y(value, top), f"{value * 100:.3g}") for value in _linear_ticks(top)),
        budget_y=_y(max_loss, top),
    )


@dataclass(frozen=True)
class _LogScale:
    low: float
    high: float

    @classmethod
    def over(cls, values: Sequence[float]) -> _LogScale:
        return cls(min(values) / _ROOM, max(values) * _ROOM)

    def at(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return LEFT + _MARGIN + share * (RIGHT - LEFT - 2 * _MARGIN)

    def ticks(self) -> list[float]:
        for steps in (_DECADES, _COARSE, _FINE):
            found = [step for step in _ladder(self.low, self.high, steps) if self.low <= step <= self.high]
            if len(found) >= 3:  # noqa: PLR2004 - from three on a logarithmic axis can be read
                return found[:: math.ceil(len(found) / _MOST_TICKS)]
        return found


def _ladder(low: float, high: float, steps: Sequence[float]) -> list[float]:
    """The steps of every power of ten, from below ``low`` to above ``high``."""
    first, last = math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1
    return [float(f"{step:g}e{power}") for power in range(first, last + 1) for step in steps]


def _top(losses: Sequence[float], max_loss: float) -> float:
    """The largest loss that is drawn to scale."""
    shown = [loss for loss in losses if loss <= _BEYOND * max_loss]
    return max([*shown, max_loss]) * 1.25


def _y(loss: float, top: float) -> float:
    share = min(loss / top, 1.0)
    return BOTTOM - _MARGIN - share * (BOTTOM - TOP - 2 * _MARGIN)


def _linear_ticks(top: float) -> list[float]:
    step = next(step for step in _ladder(top / 10, top, _COARSE) if top / step <= 5)  # noqa: PLR2004 - lines are enough
    return [number * step for number in range(int(top / step) + 1)]


@dataclass(frozen=True)
class _Box:
    left: float
    top: float
    right: float
    bottom: float

    def inside(self) -> bool:
        return self.left >= LEFT and self.right <= RIGHT and self.top >= TOP and self.bottom <= BOTTOM

    def shared(self, other: _Box) -> float:
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(width, 0.0) * max(height, 0.0)


def _with_labels(spots: Sequence[tuple[float, float, bool]], labels: Sequence[str]) -> tuple[Placed, ...]:
    """Greedy: each label takes the place around its point that covers least of what is drawn already."""
    taken = [_Box(x - 6, y - 6, x + 6, y + 6) for x, y, _ in spots]
    placed: list[Placed] = []
    for (x, y, pinned), label in zip(spots, labels, strict=True):
        options = [
            _option(x, y, pinned, label, side, rows) for rows in (0, -1, 1, 2, -2, 3) for side in ("start", "end")
        ]
        best = min(options, key=lambda option: _cost(_label_box(option), taken))
        taken.append(_label_box(best))
        placed.append(best)
    return tuple(placed)


def _option(x: float, y: float, pinned: bool, label: str, side: str, rows: int) -> Placed:  # noqa: FBT001
    label_x = x + (_GAP if side == "start" else -_GAP)
    return Placed(x, y, label, label_x, y + 4 + rows * _LINE, side, pinned)


def _label_box(placed: Placed) -> _Box:
    width = len(placed.label) * _GLYPH
    left = placed.label_x if placed.anchor == "start" else placed.label_x - width
    return _Box(left, placed.label_y - _LINE + 3, left + width, placed.label_y + 3)


def _cost(box: _Box, taken: Sequence[_Box]) -> float:
    return sum(box.shared(other) for other in taken) + (0.0 if box.inside() else 1e6)
