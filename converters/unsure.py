"""Of forms that the pictures are too few to be sure of, the one that comes nearest to it, kept while others are tried.

A device takes what is unsure only after everything that is sure, FP32 too: an INT8 file of that kind is never chosen.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from pathlib import Path

from converters.made import Made
from converters.report.rows import Row

ENOUGH = 100
"""Judged pictures below which hardly any rounded form is sure, and trying others would not end."""


def might_be_surer(attempt: Made) -> bool:
    """Whether another recipe might be within the budget for sure, where this one is only so by its estimate."""
    judged = [accuracy for artifact in attempt.artifacts for accuracy in artifact.accuracy.values()]
    return bool(judged) and all(
        accuracy.verdict == "undecided" and accuracy.needed is not None and accuracy.n >= ENOUGH for accuracy in judged
    )


class Unsure:
    """The nearest to being sure of what was offered.

    Args:
        folder: where an attempt's files lie when it is offered.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._aside = folder.with_name(f"{folder.name}.unsure")
        self._best: Made | None = None

    @property
    def rows(self) -> Sequence[Row]:
        """Of the one that is kept for now."""
        return self._best.rows if self._best else ()

    def offer(self, attempt: Made) -> Made:
        """Keep an attempt and its files, unless the one that is kept comes nearer.

        Returns:
            What is to be said of the one of the two that goes.
        """
        if self._best and _needed(self._best) <= _needed(attempt):
            return _left_out(attempt)
        gone = self.dropped()
        self._folder.replace(self._aside)
        self._best = attempt
        return gone

    def dropped(self) -> Made:
        """Let go of what is kept; what is to be said of it."""
        shutil.rmtree(self._aside, ignore_errors=True)
        best, self._best = self._best, None
        return _left_out(best) if best else Made()

    def taken(self) -> Made:
        """What is kept, its files where they were; nothing where nothing was offered."""
        best, self._best = self._best, None
        if best is None:
            return Made()
        self._aside.replace(self._folder)
        return best


def _needed(attempt: Made) -> float:
    """Pictures that would decide about it in one of the ways to run it."""
    judged = [accuracy for artifact in attempt.artifacts for accuracy in artifact.accuracy.values()]
    return min((accuracy.needed for accuracy in judged if accuracy.needed is not None), default=math.inf)


def _left_out(attempt: Made) -> Made:
    changes = {"status": "left out", "artifact": None, "evidence": None}
    return Made(
        rows=[
            row.model_copy(update=changes | {"reason": f"{row.reason}; another way comes nearer"})
            if row.status == "kept"
            else row
            for row in attempt.rows
        ]
    )
