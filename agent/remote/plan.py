"""What a new configuration changes in a running agent. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from agent.cameras.table import kind_of
from contracts.config import AgentConfig, CameraConfig

IN_PLACE = frozenset(
    {
        "fps", "frozen_after", "score", "events", "line", "zone",
        "scale", "smoothing_seconds", "states",
    }
)  # fmt: skip
"""Keys of a camera that apply while it stays open; any other one, also one that is yet to come, opens it anew."""

_READ_AT_RATE = frozenset({"pictures", "http"})

DEVICE_KEYS = frozenset({"window_seconds", "state_seconds", "health_seconds", "log_level", "labels"})
"""Keys that concern no single camera and not the connection."""


@dataclass(frozen=True)
class Plan:
    """What is to be done. A camera that is named nowhere stays as it is, and loses no frame.

    Args:
        old: the configuration that runs.
        new: the one that should.
        stop: cameras to close, by id.
        start: cameras to open.
        restart: cameras to close and open again.
        change: cameras that go on with other settings.
        device: which of `DEVICE_KEYS` differ.
        connectivity: whether the broker's settings differ.
    """

    old: AgentConfig
    new: AgentConfig
    stop: tuple[str, ...] = ()
    start: tuple[CameraConfig, ...] = ()
    restart: tuple[CameraConfig, ...] = ()
    change: tuple[CameraConfig, ...] = ()
    device: frozenset[str] = frozenset()
    connectivity: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        cameras = (*self.stop, *self.start, *self.restart, *self.change)
        return not (cameras or self.device or self.connectivity)


def plan_changes(old: AgentConfig, new: AgentConfig) -> Plan:
    """What leads from one configuration to the other."""
    before = {camera.id: camera for camera in old.camera}
    after = {camera.id: camera for camera in new.camera}
    changed = {camera_id: _differing(before[camera_id], after[camera_id]) for camera_id in after if camera_id in before}
    return Plan(
        old=old,
        new=new,
        stop=tuple(camera_id for camera_id in before if camera_id not in after),
        start=tuple(camera for camera in new.camera if camera.id not in before),
        restart=tuple(after[name] for name, keys in changed.items() if keys - in_place(after[name])),
        change=tuple(after[name] for name, keys in changed.items() if keys and keys <= in_place(after[name])),
        device=frozenset(key for key in DEVICE_KEYS if getattr(old, key) != getattr(new, key)),
        connectivity=old.broker != new.broker,
    )


def in_place(camera: CameraConfig) -> frozenset[str]:
    """The keys of this camera that apply while it stays open: where the rate is what it is read at, not that one."""
    return IN_PLACE - {"fps"} if kind_of(camera.source).name in _READ_AT_RATE else IN_PLACE


def _differing(old: CameraConfig, new: CameraConfig) -> frozenset[str]:
    return frozenset(key for key in CameraConfig.model_fields if getattr(old, key) != getattr(new, key))
