"""The pulse of a running agent."""

from __future__ import annotations

from collections.abc import Sequence

from agent.camera_unit import CameraUnit
from agent.service.heart import Pulse
from agent.slots import Slots


def take_pulse(slots: Slots, units: Sequence[CameraUnit], *, connected: bool, now: float) -> Pulse:
    """How the agent does.

    Args:
        slots: its models.
        units: its cameras.
        connected: whether the broker is.
        now: monotonic seconds.
    """
    health = [unit.health(now) for unit in units]
    return Pulse(
        standstill=max((slot.pool.standstill(now) for slot in slots.values()), default=0.0),
        counting=sum(one.quality == "ok" for one in health),
        cameras=len(health),
        fps=sum(one.fps for one in health),
        connected=connected,
    )
