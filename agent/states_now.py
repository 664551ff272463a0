"""Which states a camera's classifier tells of now, and since when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent.counting.clock import utc_text
from agent.counting.states import Question
from agent.counting.totals import LineTotals, state_key
from contracts.messages import StateNow


class StatesNow:
    """Keeps the states of one camera; for a caller that holds the camera's lock.

    Args:
        camera: its id.
        questions: of its classifier; none of another model.
    """

    def __init__(self, camera: str, questions: Sequence[Question]) -> None:
        self._camera = camera
        self._names = [question.name for question in questions]
        self._held: dict[str, tuple[str, float]] = {}  # state, and since when in seconds since 1970

    def take(self, states: Mapping[str, str], wall: float) -> None:
        """Take in a frame's states; ``wall`` is when it was taken, in seconds since 1970."""
        for name, state in states.items():
            if name not in self._held or self._held[name][0] != state:
                self._held[name] = (state, wall)

    def told(self, totals: Mapping[tuple[str, str], LineTotals], *, fresh: bool) -> dict[str, StateNow]:
        """What is published; without fresh frames the states are not known.

        Args:
            totals: committed, by camera and counter.
            fresh: whether fresh frames are counted.
        """
        found = {name: totals.get((self._camera, state_key(name))) for name in self._names}
        return {name: self._now(name, total, fresh=fresh) for name, total in found.items() if total is not None}

    def _now(self, name: str, total: LineTotals, *, fresh: bool) -> StateNow:
        held = self._held.get(name) if fresh else None
        if held is None:
            return StateNow(state=None, since=None, entries=total.entries)
        return StateNow(state=held[0], since=utc_text(held[1]), entries=total.entries)
