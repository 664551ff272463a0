"""Load shedding: a box that is hot or throttled takes fewer frames, in steps, and more again once it has cooled.

Pure rules; docs/telemetry.md says why they are these.
"""

from __future__ import annotations

from contracts.config import SheddingConfig
from contracts.health import SheddingState, Telemetry

HYSTERESIS = 5.0  # degrees below hot before more frames are taken again
CALM_ROUNDS = 4  # decisions in a row that find the box cool, for a step up; heat comes faster than it goes
_SHARES = (1.0, 0.75, 0.5, 0.25, 0.125)


class Shedder:
    """Decides which share of the frames is taken.

    A decision is made every ``hold_seconds``, on the worst that was seen since the one before, and moves by one step at
    the most. When decisions are made does not depend on what is seen: so a box that is hotter throughout is never one
    that takes more.

    Args:
        config: limits.

    Attributes:
        share: of the frames that is to be taken now; any thread may read it.
    """

    def __init__(self, config: SheddingConfig) -> None:
        self._config = config
        self._shares = (*(share for share in _SHARES if share > config.floor), config.floor)
        self._level = 0
        self._due: float | None = None
        self._calm = 0
        self._strained, self._cool = False, True  # since the last decision: at any time, and all the time
        self._why: str | None = None
        self._since: float | None = None
        self.share = self._shares[0]

    def look(self, telemetry: Telemetry | None, now: float) -> None:
        """Take in what the hardware tells, and decide where it is time.

        Where it tells nothing there is no reason to take fewer frames.

        Args:
            telemetry: the newest; None where it is not known.
            now: monotonic seconds.
        """
        why = strain(telemetry)
        if why is not None:
            self._why, self._strained = why, True
        self._cool = self._cool and why is None and is_cool(telemetry)
        if self._due is None or now >= self._due:
            self._due = now + self._config.hold_seconds
            self._decide(now)

    def state(self, now: float) -> SheddingState:
        """What to tell, for any thread; ``now`` in monotonic seconds."""
        since = self._since  # once: another thread may be deciding
        if since is None:
            return SheddingState(share=1.0)
        return SheddingState(share=self.share, why=self._why, seconds=round(now - since, 1))

    def _decide(self, now: float) -> None:
        self._calm = self._calm + 1 if self._cool else 0
        if self._strained:
            self._level = min(self._level + 1, len(self._shares) - 1)
        elif self._calm >= CALM_ROUNDS:
            self._level, self._calm = max(0, self._level - 1), 0
        self._strained, self._cool = False, True
        self.share = self._shares[self._level]
        if self._level == 0:
            self._since = None
        elif self._since is None:
            self._since = now


def strain(telemetry: Telemetry | None) -> str | None:
    """Why fewer frames should be taken; None where nothing that is known asks for it."""
    if telemetry is None:
        return None
    if telemetry.throttling is not None and telemetry.throttling.now:
        return f"the box is throttled ({', '.join(telemetry.throttling.reasons)})"
    over, name = max(_over(telemetry), default=(-HYSTERESIS, ""))
    if over < 0:
        return None
    one = telemetry.temperatures[name]
    return f"{name} is at {one.celsius:.1f} degrees, hot from {one.hot:.1f} on"


def is_cool(telemetry: Telemetry | None) -> bool:
    """Whether every sensor that is known is well below hot."""
    return telemetry is None or all(over <= -HYSTERESIS for over, _ in _over(telemetry))


def _over(telemetry: Telemetry) -> list[tuple[float, str]]:
    """By how many degrees each sensor is hot, below zero where it is not, and its name."""
    limits = [(one.celsius, one.hot, name) for name, one in telemetry.temperatures.items()]
    return [(celsius - hot, name) for celsius, hot, name in limits if hot is not None]
