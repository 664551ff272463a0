"""What a box shows of its cameras, in the form in which a model on probation is judged by it. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from agent.counting.window import WindowCounts
from agent.update.continuity import Past, Piece, piece_of
from agent.update.probation import CameraBefore, CameraEvidence
from agent.view import QUALITY_OF
from contracts.health import CameraHealth
from contracts.messages import Quality

_MOST_PIECES = 360  # an hour of the usual windows


@dataclass(frozen=True)
class Mark:
    """A camera's frames since the agent's start.

    Args:
        came: as of `agent.update.probation.CameraEvidence`, like the next two.
        counted: see there.
        errors: see there.
    """

    came: int
    counted: int
    errors: int


def mark_of(health: CameraHealth, counted: int) -> Mark:
    """Where a camera stands now.

    Args:
        health: of it.
        counted: frames counted since the start (`agent.camera_unit.CameraUnit.counted`).
    """
    dropped = health.frames_dropped
    nothing_shown = sum(dropped.get(fault, 0) for fault in QUALITY_OF)
    came = health.frames_seen + dropped.get("shed", 0) - nothing_shown
    return Mark(max(0, came), counted, dropped.get("model_error", 0))


def before_of(first: Mark, last: Mark, seconds: float, past: Past) -> CameraBefore:
    """A camera just before a model takes over.

    Args:
        first: where it stood some minutes before.
        last: where it stands.
        seconds: between the two, above 0.
        past: what it counted.
    """
    counted, errors = last.counted - first.counted, last.errors - first.errors
    asked = counted + errors
    return CameraBefore(counted / seconds, errors / asked if asked else 0.0, past)


def evidence_of(took_over: Mark, now: Mark, quality: Quality, amount: Piece | None) -> CameraEvidence:
    """A camera since a model took over.

    Args:
        took_over: where it stood then.
        now: where it stands.
        quality: of its counts now.
        amount: what was counted since; `CountTally.total` of a tally that was begun then.
    """
    return CameraEvidence(
        came=now.came - took_over.came,
        counted=now.counted - took_over.counted,
        errors=now.errors - took_over.errors,
        quality=quality,
        amount=amount,
    )


class CountTally:
    """What a camera counts, window by window; for one caller at a time.

    Args:
        crossings: whether it has lines: then crossings are what is counted, else things in the picture.
    """

    def __init__(self, *, crossings: bool) -> None:
        self._crossings = crossings
        self._pieces: deque[Piece] = deque(maxlen=_MOST_PIECES)
        self._counted = self._seconds = 0.0

    def take(self, counts: WindowCounts, seconds: float) -> None:
        """Take in a window of so many seconds; one whose counts cannot be believed adds nothing."""
        piece = piece_of(counts, seconds, crossings=self._crossings)
        if piece is not None:
            self._pieces.append(piece)
            self._counted += piece.counted
            self._seconds += piece.seconds

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The last windows, in their order, for `Past.pieces`."""
        return tuple(self._pieces)

    @property
    def total(self) -> Piece | None:
        """All of it; None where no window had counts."""
        return Piece(self._counted, self._seconds) if self._seconds else None
