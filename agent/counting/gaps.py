"""How long one frame may stand for what is there."""

from __future__ import annotations

from contracts.config import CameraConfig


def longest_gap(camera: CameraConfig) -> float:
    """Seconds that one frame may stand for: until the counts are stale, or as long as a low rate asked for needs."""
    return max(camera.stale_after, 1.5 / camera.fps if camera.fps else 0.0)
