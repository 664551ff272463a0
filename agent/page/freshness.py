"""Whether the box counts: not whether it runs, but whether every camera's fresh frames are counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.page.ports import AgentState, WatchedCamera
from contracts.messages import Quality

_FPS_OVER = 5.0  # seconds that the published frame rate is the mean of

_WHY: Mapping[Quality, str] = {
    "ok": "fresh frames are counted",
    "stale": "no fresh frame was counted lately",
    "obscured": "the view is black, white or covered",
    "no_camera": "the camera gives no frames",
    "model_error": "the model failed, or none runs yet",
}


@dataclass(frozen=True)
class Verdict:
    """Whether fresh frames are counted.

    Args:
        healthy: of every camera.
        cameras: by camera, None where it is well, else why not.
        why: what is wrong of the box itself; None where nothing is.
    """

    healthy: bool
    cameras: Mapping[str, str | None] = field(default_factory=dict)
    why: str | None = None

    def document(self) -> dict[str, object]:
        """As plain data."""
        cameras = {name: {"counting": why is None, "why": why} for name, why in self.cameras.items()}
        return {"healthy": self.healthy, "why": self.why, "cameras": cameras}


def judge(state: AgentState) -> Verdict:
    """What a state says of each camera."""
    cameras = {camera.id: _why_not(camera, state) for camera in state.watched}
    return Verdict(healthy=all(why is None for why in cameras.values()), cameras=cameras)


def _why_not(camera: WatchedCamera, state: AgentState) -> str | None:
    now, health = state.cameras.get(camera.id), state.health.cameras.get(camera.id)
    if now is None or health is None:
        return "the agent does not tell how it is"
    if not now.available:
        text = _WHY.get(now.quality, now.quality)
        return f"{text}: {health.problem}" if health.problem else text
    # A daemon that stands still no longer notices that a camera went stale; the frame rate is of this moment.
    if health.fps <= 0 and camera.gap <= _FPS_OVER:
        return f"no frame was counted in the last {_FPS_OVER:.0f} s"
    return None
