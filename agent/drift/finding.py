"""What a rule finds of one indicator in one hour, and when that becomes a warning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Side = Literal["low", "high"]
"""Which way something is off."""

_IN_A_ROW = 2  # hours, for a warning to begin and for it to end


@dataclass(frozen=True)
class Finding:
    """One indicator in one hour.

    Args:
        value: of the hour.
        usual: what it is held against.
        change: how far it is off; None where that cannot be judged.
        side: which way it is beyond its threshold.
        settled: whether it is well within.
        waiting: what is missing until it can be judged.
        hours: that it was judged over, this one the last.
    """

    value: float | None = None
    usual: float | None = None
    change: float | None = None
    side: Side | None = None
    settled: bool = False
    waiting: str | None = None
    hours: int = 1


class Latch:
    """Goes on after two hours beyond the threshold, off after two well within; what lies between changes nothing.

    An hour that cannot be judged says nothing either way.
    """

    def __init__(self) -> None:
        self.side: Side | None = None
        self._before: Side | None = None
        self._beyond = self._settled = 0

    def take(self, finding: Finding) -> None:
        """One more hour."""
        if finding.change is None:
            return
        self._beyond = self._beyond + 1 if finding.side and finding.side == self._before else int(bool(finding.side))
        self._settled = self._settled + 1 if finding.settled else 0
        self._before = finding.side
        if self._beyond >= _IN_A_ROW:
            self.side = finding.side
        elif self._settled >= _IN_A_ROW:
            self.side = None
