"""What a classifier's answers say of a state that lasts: the gate is open, the eyes are closed.

An answer flickers, a state does not. Another answer becomes the state only when it was given, with enough score, for
so much longer than not; and without the state's own answer for long it is unknown, never the likeliest guess.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.output_spec import HeadSpec

UNKNOWN = "unknown"
"""The state while nothing is certain. A model's label of this name is no state of its own: it means the same."""

ONLY_QUESTION = "state"
"""What a classifier with one output answers."""

_ROUNDING = 1e-6  # seconds
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


class StateMachine:
    """Follows the state of one question; memory does not grow.

    The time between two frames speaks for an answer where both gave it, against it where neither did, and for nothing
    where one did.

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
        self._said: str | None = None
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
        return self.hear(self._answer(probabilities), at)

    def hear(self, answer: str | None, at: float) -> StateChange | None:
        """Take in one frame's answer, None where it is not certain; otherwise as `update`."""
        seconds = 0.0 if self._at is None else max(0.0, at - self._at)
        before, self._said = self._said, answer
        self._at = at if self._at is None else max(at, self._at)
        if seconds > self.rules.gap:
            change = self._become(None)
            self._candidate, self._held = answer, 0.0
            return change
        self._weigh(before, answer, seconds)
        if answer is not None and answer == self._candidate and self._held >= self.rules.hold - _ROUNDING:
            return self._become(answer)
        if self._doubted >= self.rules.unknown - _ROUNDING:
            return self._become(None)
        return None

    def _answer(self, probabilities: NDArray[np.float32]) -> str | None:
        """What the frame says for certain."""
        labels = self._question.labels
        best = int(probabilities.argmax())
        if labels[best] not in {self._state, UNKNOWN} and probabilities[best] >= self.rules.score:
            return labels[best]
        if self._state is not None and probabilities[labels.index(self._state)] >= self.rules.stay_score:
            return self._state
        return None

    def _other(self, answer: str | None) -> str | None:
        return None if answer == self._state else answer

    def _weigh(self, before: str | None, answer: str | None, seconds: float) -> None:
        """Give the time since the last frame to what was said at its two ends."""
        rules = self.rules
        if self._state is not None:
            doubt = -_agreement(self._state, before, answer) * seconds
            self._doubted = min(max(0.0, self._doubted + doubt), rules.unknown)
        if self._candidate is not None:
            held = self._held + _agreement(self._candidate, before, answer) * seconds
            self._held = min(max(0.0, held), rules.hold)
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


def _agreement(label: str, one: str | None, other: str | None) -> float:
    """1 where both say it, -1 where neither does."""
    return float((one == label) + (other == label) - 1)
