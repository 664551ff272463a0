"""What the device publishes, as JSON. Times are UTC, ISO 8601 with ``Z``; durations are seconds."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from contracts.documents import Id, MachineModel

Quality = Literal["ok", "stale", "obscured", "no_camera", "model_error"]
"""Whether a window's counts can be believed.

``ok``: fresh frames were counted; ``stale``: frames stopped coming or repeat; ``obscured``: black, white or covered;
``no_camera``: the camera does not open; ``model_error``: the artifact failed. Only ``ok`` frames are counted.
"""


class Level(MachineModel):
    """How many were there at once, over the frames of a window."""

    last: float
    mean: float
    min: float
    max: float


class ZoneCounts(Level):
    """A zone's level; ``visits`` is how many tracks stayed in it (None for models without boxes)."""

    visits: int | None = None


class Crossings(MachineModel):
    """Crossings of a line, of the window and since the counter began, in all and by label."""

    model_config = ConfigDict(populate_by_name=True)

    counter_id: str
    since: str
    in_: int = Field(alias="in")
    out: int
    by_label: dict[str, dict[Literal["in", "out"], int]] = Field(default_factory=dict)
    total_in: int
    total_out: int
    total_by_label: dict[str, dict[Literal["in", "out"], int]] = Field(default_factory=dict)


class Window(MachineModel):
    """A window's borders."""

    start: str
    end: str


class CountReport(MachineModel):
    """The counts of one camera over one window.

    ``(store_id, seq)`` identifies it: rising by one over all reports of a box and across boots, so that a gap is
    visible and a repeated delivery harmless. ``count`` and the zones are None where no frame was counted: no data is
    not zero. ``coverage`` is observed seconds over window seconds, 0 to 1.
    """

    store_id: str
    seq: int
    boot_id: str
    device: Id
    camera: Id
    window: Window
    clock_synced: bool | None
    late: bool = False
    frames_seen: int
    frames_dropped: dict[str, int]
    coverage: float = Field(ge=0, le=1)
    quality: Quality
    artifact_digest: str | None
    count: Level | None
    zones: dict[str, ZoneCounts | None] = Field(default_factory=dict)
    lines: dict[str, Crossings] = Field(default_factory=dict)


class CameraState(MachineModel):
    """What a camera shows now; retained. ``frame`` is the sequence number of the last frame counted."""

    device: Id
    camera: Id
    at: str
    available: bool
    quality: Quality
    frame: int | None
    count: float | None
    zones: dict[str, float | None] = Field(default_factory=dict)
    lines: dict[str, dict[str, int]] = Field(default_factory=dict)


class Status(MachineModel):
    """Whether the box is connected; retained, and the broker's to send (as the will) where the box vanished."""

    status: Literal["online", "offline"]
    boot_id: str
    reason: str
    at: str | None = None


class Hello(MachineModel):
    """Said once a connection: who is here and what runs."""

    device: Id
    boot_id: str
    version: str
    epoch: str | None = None
    config_revision: int | None = None
    model_revision: int | None = None
    models: dict[str, str] = Field(default_factory=dict)


class Considered(MachineModel):
    """An artifact that was looked at; ``refused`` is why it was not taken, None for the one that was."""

    artifact: str
    refused: str | None


class FactsMessage(MachineModel):
    """What the box is and which artifacts it looked at; retained."""

    device: Id
    labels: dict[str, str] = Field(default_factory=dict)
    facts: dict[str, str | int | float | bool | list[str]]
    artifacts: list[Considered] = Field(default_factory=list)


class StageLatency(MachineModel):
    """Milliseconds over the last ``n`` frames."""

    n: int
    p50: float
    p90: float
    p99: float


class CameraHealth(MachineModel):
    """How a camera runs; ``latency_ms`` is from capture to counted."""

    fps: float
    latency_ms: StageLatency | None
    frames_seen: int
    frames_dropped: dict[str, int]
    reconnects: int
    quality: Quality
    problem: str | None = None


class Health(MachineModel):
    """How the box runs; absent means not known, never 0."""

    device: Id
    at: str
    uptime: float
    rss_mb: float | None
    outbox_waiting: int | None
    outbox_dropped: int | None
    cameras: dict[str, CameraHealth]
