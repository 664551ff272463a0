"""How long a classifier's states were held in a window, and how often they were entered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.counting.states import StateChange


@dataclass
class StateSums:
    """What is added up of one question.

    Args:
        last: its state; None before the first frame.
        seconds: how long each state was held.
        entries: how often each was entered.
    """

    last: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    entries: Counter[str] = field(default_factory=Counter)

    def hold(self, state: str, seconds: float) -> None:
        """It was in a state for some seconds, 0 where that is not known yet."""
        self.last = state
        self.seconds[state] = self.seconds.get(state, 0.0) + seconds

    def enter(self, change: StateChange) -> None:
        """Its state changed."""
        if change.is_entry:
            self.entries[change.state] += 1

    def kept(self) -> Mapping[str, float]:
        """The states that were held for any time."""
        return {state: seconds for state, seconds in self.seconds.items() if seconds > 0}
