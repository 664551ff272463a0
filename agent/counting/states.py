"""What a classifier's answers say of a state that lasts: the gate is open, the eyes are closed.

An answer flickers, a state does not. Another answer becomes the state only when it was given, with enough score, for
so much longer than not; and without the state's own answer for long it is unknown, never the likeliest guess.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts.output_spec import HeadSpec

UNKNOWN = "unknown"
"""The state while nothing is certain. A model's label of this name is no state of its own: it means the same."""

ONLY_QUESTION = "state"
"""What a classifier with one output answers."""

_ROUNDING = 1e-6  # seconds
_DOUBT = 1 / 3
"""How much a frame without a certain answer speaks against one: where the others are uncertain, more than a quarter of
the frames have to give it."""

_NO_ID = re.compile(r"[^a-z0-9_-]+")
_LONGEST_NAME = 64


@dataclass(frozen=True)
class Question:
    """One of the questions that a classifier answers.

    Args:
        name: an id.
        labels: its answers.
    """

    name: str
    labels: tuple[str, ...]


def questions_of(labels: Sequence[str], heads: Sequence[HeadSpec]) -> tuple[Question, ...]:
    """A classifier's questions: each head is one, named after its output in lower case; without heads there is one."""
    if not heads:
        return (Question(ONLY_QUESTION, tuple(labels)),)
    found: dict[str, Question] = {}
    for number, head in enumerate(heads, 1):
        name = _NO_ID.sub("_", head.output.lower()).strip("_")[:_LONGEST_NAME] or "head"
        while name in found:
            name = f"{name[: _LONGEST_NAME - 4]}-{number}"
        found[name] = Question(name, head.labels)
    return tuple(found.values())


@dataclass(frozen=True)
class StateRules:
    """When a state changes.

    Args:
        score: probability from which on another answer counts.
        stay_score: from which on the state's own answer does, at most ``score``.
        hold: seconds, see `contracts.config.StatesConfig`.
        unknown: the same.
        gap: seconds between two frames from which on nothing is known of the time between them.
    """

    score: float
    stay_score: float
    hold: float
    unknown: float
    gap: float


@dataclass(frozen=True)
class StateChange:
    """A question's state became another one.

    Args:
        question: its name.
        before: the state until now.
        state: from now on.
        is_entry: whether it was seen to begin: the state that was known last is another one. What is known first, and
            what comes back out of the unknown, is not.
    """

    question: str
    before: str
    state: str
    is_entry: bool


class _Said(NamedTuple):
    """One frame's certain answer, and whether the state's own is probable enough to stay in it."""

    answer: str | None
    stays: bool

    def vote(self, label: str) -> float:
        """How far it speaks for another state, 1 to -1."""
        return 1.0 if self.answer == label else -_DOUBT if self.answer is None else -1.0


class StateMachine:
    """Follows the state of one question; memory does not grow.

    Half of the time between two frames is each one's: it speaks for the answer that the frame gave for certain, and
    against any other one; where it gave none, against another one with a third of its weight.

    Args:
        question: the question.
        rules: when its state changes; may be set anew.
    """

    def __init__(self, question: Question, rules: StateRules) -> None:
        self.rules = rules
        self._question = question
        self._state: str | None = None
        self._known: str | None = None  # the last state that was known
        self._candidate: str | None = None
        self._held = self._doubted = 0.0  # seconds for the candidate, and against the state, less those of the contrary
        self._said = _Said(None, stays=False)
        self._at: float | None = None

    @property
    def state(self) -> str:
        """The state now."""
        return self._state or UNKNOWN

    def update(self, probabilities: NDArray[np.float32], at: float) -> StateChange | None:
        """Take in one frame.

        Args:
            probabilities: float32 ``(labels,)`` in 0 to 1, in the order of the question's.
            at: when it was taken, in monotonic seconds; earlier than the last is taken as the last.

        Returns:
            The change, where there was one.
        """
        labels, score = self._question.labels, self.rules.score
        best = int(probabilities.argmax())
        is_certain = labels[best] != UNKNOWN and probabilities[best] >= score
        stays = self._state is not None and probabilities[labels.index(self._state)] >= self.rules.stay_score
        return self.hear(labels[best] if is_certain else None, at, stays=bool(stays))

    def hear(self, answer: str | None, at: float, *, stays: bool = False) -> StateChange | None:
        """Take in one frame's answer; otherwise as `update`.

        Args:
            answer: what is certain; None where nothing is.
            at: see `update`.
            stays: whether the state's own answer is probable enough to stay in it.
        """
        seconds = 0.0 if self._at is None else max(0.0, at - self._at)
        before, self._said = self._said, _Said(answer, stays)
        self._at = at if self._at is None else max(at, self._at)
        if seconds > self.rules.gap:
            change = self._become(None)
            self._candidate, self._held = answer, 0.0
            return change
        self._weigh((before, self._said), seconds)
        if answer is not None and answer == self._candidate and self._held >= self.rules.hold - _ROUNDING:
            return self._become(answer)
        if self._doubted >= self.rules.unknown - _ROUNDING:
            return self._become(None)
        return None

    def _other(self, answer: str | None) -> str | None:
        return None if answer == self._state else answer

    def _weigh(self, ends: tuple[_Said, _Said], seconds: float) -> None:
        """Give the time since the last frame to what was said at its two ends."""
        if self._state is not None:
            doubts = [-1 if end.stays or end.answer == self._state else 1 for end in ends]
            self._doubted = min(max(0.0, self._doubted + sum(doubts) / 2 * seconds), self.rules.unknown)
        if self._candidate is not None:
            votes = [end.vote(self._candidate) for end in ends]
            self._held = min(max(0.0, self._held + sum(votes) / 2 * seconds), self.rules.hold)
        answer = ends[-1].answer
        if self._held <= 0 and answer != self._candidate:
            self._candidate = self._other(answer)

    def _become(self, state: str | None) -> StateChange | None:
        if state is not None:
            self._candidate, self._held = None, 0.0
        self._doubted = 0.0
        if state == self._state:
            return None
        before, self._state = self.state, state
        is_entry = state is None or self._known not in {None, state}
        self._known = state or self._known
        return StateChange(self._question.name, before, self.state, is_entry)
