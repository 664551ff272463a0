"""What one frame adds to the counts of its camera."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agent.counting.lines import Crossing
from agent.counting.states import StateChange
from agent.counting.tracks import Track


@dataclass(frozen=True)
class FrameCounts:
    """What one frame adds.

    Args:
        count: things in the picture now: detections of at least the camera's score, those that lie on each other
            under two labels being one; or the density map's sum over the picture, times the camera's scale. Nothing of
            other frames enters it, so it is what the model's accuracy was proven on. None for a classifier.
        zones: things in each zone now; see `ZoneCounter.update` for boxes.
        visits: visits that became certain, by zone; None for a model without boxes.
        crossings: those that became certain.
        tracks: what is followed, for those who draw it.
        stays: seconds of the stays that ended, by zone.
        states: of a classifier's questions, as they are with this frame.
        changes: of these states.
    """

    count: float | None
    zones: Mapping[str, float] = field(default_factory=dict)
    visits: Mapping[str, int] | None = None
    crossings: tuple[Crossing, ...] = ()
    tracks: tuple[Track, ...] = ()
    stays: Mapping[str, Sequence[float]] = field(default_factory=dict)
    states: Mapping[str, str] = field(default_factory=dict)
    changes: tuple[StateChange, ...] = ()
