"""How long one frame may stand for what is there."""

from __future__ import annotations

from contracts.config import CameraConfig

FRAMES_TO_A_GAP = 1.5
"""Periods that may pass between two frames before one is taken to be missing."""


def longest_gap(camera: CameraConfig) -> float:
    """Seconds that one frame may stand for: until the counts are stale, or as long as a low rate asked for needs."""
    return max(camera.stale_after, FRAMES_TO_A_GAP / camera.fps if camera.fps else 0.0)
