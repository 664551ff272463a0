"""How much of its time a box that counts may be measured: as much as costs no frames. Pure."""

from __future__ import annotations

from dataclasses import dataclass

_LEAST, _MOST = 2.0, 128.0  # rests, in seconds for each that measuring took: a third of the time to under 1 %
_LONGEST = 300.0
_HARM = 0.02  # of the frames


@dataclass(frozen=True)
class Frames:
    """How many frames came from the cameras since the start, and how many of them were dropped as late."""

    seen: int
    late: int

    def late_share(self, before: Frames) -> float | None:
        """Of the frames since then, the share that was late; None where none came."""
        seen = self.seen - before.seen
        return (self.late - before.late) / seen if seen > 0 else None


class RestPace:
    """Doubles the rests after a measurement during which more frames were late than in the rest before; else halves.

    A box that falls behind anyway is measured too, for that may be cured by it: only what measuring adds counts.

    Args:
        longest: seconds of one rest.
    """

    def __init__(self, longest: float = _LONGEST) -> None:
        self._longest = longest
        self._rests = _LEAST

    def rest(self, seconds: float, before: float | None, during: float | None) -> float:
        """Seconds to rest.

        Args:
            seconds: that measuring took from the box.
            before: share of late frames in the rest before.
            during: the same while it was measured; None where no frame came, then nothing is learnt.
        """
        if before is not None and during is not None:
            harmed = during - before > _HARM
            self._rests = min(_MOST, max(_LEAST, self._rests * (2.0 if harmed else 0.5)))
        return min(self._longest, seconds * self._rests)
