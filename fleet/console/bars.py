"""How boxes of a rollout stand, as a bar: pieces in user units, for a template to draw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from fleet.rollout.boxes import BoxState
from fleet.rollout.gate import Counts

WIDTH = 1_000  # user units
_LEAST = 6  # that a piece is wide, so that one box of ten thousand is seen

Kind = Literal[
    "committed", "failed", "silent", "pending", "unreached", "reverting", "reverted", "superseded", "withdrawn",
    "waiting"
]  # fmt: skip


@dataclass(frozen=True)
class Piece:
    """So many boxes that stand alike: where it begins and how wide it is, in user units."""

    kind: Kind
    n: int
    x: float
    width: float


@dataclass(frozen=True)
class Bar:
    """Boxes, by how they stand; those that wait come last."""

    total: int
    pieces: tuple[Piece, ...]

    @property
    def words(self) -> str:
        """The same in words."""
        return ", ".join(f"{piece.n} {piece.kind}" for piece in self.pieces) or "no boxes"


def bar(counts: Counts, out: Mapping[BoxState, int]) -> Bar:
    """Draw boxes.

    Args:
        counts: those that a gate counts, and those that wait.
        out: those that it does not count any more.
    """
    numbers = [(kind, n) for kind, n in _numbers(counts, out) if n]
    total = sum(n for _, n in numbers)
    widths = [max(_LEAST, WIDTH * n / total) for _, n in numbers]
    scale = WIDTH / sum(widths) if widths else 1.0
    pieces, x = [], 0.0
    for (kind, n), width in zip(numbers, widths, strict=True):
        pieces.append(Piece(kind, n, round(x, 1), round(width * scale, 1)))
        x += width * scale
    return Bar(total, tuple(pieces))


def _numbers(counts: Counts, out: Mapping[BoxState, int]) -> Iterator[tuple[Kind, int]]:
    yield "committed", counts.committed
    yield "failed", counts.failed
    yield "silent", counts.silent
    yield "pending", counts.pending
    yield "unreached", counts.unreached
    yield "reverting", out.get("reverting", 0)
    yield "reverted", out.get("reverted", 0)
    yield "superseded", out.get("superseded", 0)
    yield "withdrawn", out.get("withdrawn", 0)
    yield "waiting", counts.waiting + counts.held
