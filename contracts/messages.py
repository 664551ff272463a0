"""What the device publishes, as JSON. Times are UTC, ISO 8601 with ``Z``; durations are seconds."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from contracts.documents import Id, MachineModel

Quality = Literal["ok", "stale", "obscured", "no_camera", "model_error"]
"""Whether a window's counts can be believed.

``ok``: fresh frames were counted; ``stale``: frames stopped coming or repeat; ``obscured``: black, white or covered;
``no_camera``: the camera does not open; ``model_error``: the artifact failed, or none serves yet. Only ``ok`` frames
are counted.
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

    ``(store_id, seq)`` identifies it: rising by one over all reports and events of a box and across boots, so that a
    gap is visible and a repeated delivery harmless. ``count`` and the zones are None where no frame was counted: no
    data is not zero. ``coverage`` is observed seconds over window seconds, 0 to 1. ``artifact_digest`` is of what
    counted the window's last frame, None where none was counted; ``earlier_digests`` of what counted before it in
    this window, where a model was swapped for another.
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
    earlier_digests: tuple[str, ...] = ()
    count: Level | None
    zones: dict[str, ZoneCounts | None] = Field(default_factory=dict)
    lines: dict[str, Crossings] = Field(default_factory=dict)


class Event(MachineModel):
    """What every event carries.

    ``(store_id, seq)`` identifies it, in one row of numbers with the box's CountReports. ``at`` is UTC in ISO 8601;
    ``late`` means what it does in a CountReport.
    """

    store_id: str
    seq: int
    boot_id: str
    device: Id
    camera: Id
    at: str
    clock_synced: bool | None
    late: bool = False


class CrossingEvent(Event):
    """One thing crossed a line; published where the camera's ``events`` are switched on, also counted in a CountReport.

    ``at`` is when the frame was taken in which it became certain. ``track`` numbers what was followed, within a
    camera and ``boot_id``.
    """

    kind: Literal["crossing"] = "crossing"
    line: Id
    counter_id: str
    direction: Literal["in", "out"]
    label: str
    track: int


class QualityEvent(Event):
    """From ``at`` on a camera's counts were of another quality than before; numbered and switched on like crossings."""

    kind: Literal["quality"] = "quality"
    before: Quality
    quality: Quality


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
    """An artifact that was looked at.

    ``refused`` is why it was not taken, None for the one that was; ``why`` is why that one was, where it was measured
    on this box.
    """

    artifact: str
    refused: str | None
    why: str | None = None


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


class EngineProgress(MachineModel):
    """How far an engine is that is being built: seconds since it began; 0 to 1 where its builder tells it."""

    artifact: str
    seconds: float
    fraction: float | None = None
    phase: str = ""


class Health(MachineModel):
    """How the box runs; absent means not known, never 0.

    ``artifact`` is what counts, None while nothing does; ``building`` what takes over from it next. ``outbox_dropped``
    counts reports and events that nobody will get, since the store began: the outbox was full, or the disk refused them
    for too long; each is a gap in the numbers. ``windows_held`` are windows that wait in memory while the disk refuses
    them; ``windows_lost`` those given up since the start, which become part of ``outbox_dropped`` once the disk writes
    again. ``disk_bytes_per_day`` is what the store writes, measured since the start and scaled to a day.
    """

    device: Id
    at: str
    uptime: float
    rss_mb: float | None
    outbox_waiting: int | None
    outbox_dropped: int | None
    windows_held: int | None = None
    windows_lost: int | None = None
    disk_bytes_per_day: int | None = None
    cameras: dict[str, CameraHealth]
    artifact: str | None = None
    building: EngineProgress | None = None
