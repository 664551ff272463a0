"""Counts that are shown without flicker: an exponential mean over time."""

from __future__ import annotations

import math
from dataclasses import replace

from agent.counting.frame_counts import FrameCounts
from agent.counting.gaps import longest_gap
from contracts.config import CameraConfig


class Smoother:
    """Smooths the counts of one camera, in the picture and in its zones; the frame rate does not matter.

    Args:
        camera: whose; without ``smoothing_seconds`` its counts stay as they are.
    """

    def __init__(self, camera: CameraConfig) -> None:
        self._seconds = camera.smoothing_seconds
        self._gap = longest_gap(camera)
        self._before: FrameCounts | None = None
        self._at = 0.0

    def update(self, counts: FrameCounts, at: float) -> FrameCounts:
        """The frame's counts, smoothed; after a gap they begin anew with the frame's own.

        Args:
            counts: of the frame.
            at: when it was taken, in monotonic seconds.
        """
        if self._seconds is None or counts.count is None:
            return counts
        before, seconds = self._before, max(0.0, at - self._at)
        if before is not None and before.count is not None and seconds <= self._gap:
            share = -math.expm1(-seconds / self._seconds)
            zones = {name: _between(before.zones[name], value, share) for name, value in counts.zones.items()}
            counts = replace(counts, count=_between(before.count, counts.count, share), zones=zones)
        self._before, self._at = counts, max(at, self._at)
        return counts


def _between(before: float, now: float, share: float) -> float:
    return before + share * (now - before)
