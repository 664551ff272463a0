"""What the device publishes, as JSON. Times are UTC, ISO 8601 with ``Z``; durations are seconds."""

from __future__ import annotations

from typing import Literal, get_args

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


class Dwell(MachineModel):
    """Stays in a zone that ended in the window: how many, and their mean and longest in seconds, None of no stay."""

    n: int
    mean: float | None
    max: float | None


class ZoneCounts(Level):
    """A zone's level, and what is known of a model that gives boxes; None for others.

    ``visits`` is how many tracks stayed in it; ``occupancy`` the share of the observed seconds in which at least one
    was there, 0 to 1; ``dwell`` tells of the stays that ended, a thing that went and came back having two.
    """

    visits: int | None = None
    occupancy: float | None = Field(None, ge=0, le=1)
    dwell: Dwell | None = None


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


class StateCounts(MachineModel):
    """The states of one of a classifier's questions, of the window and since the counter began.

    ``last`` is the state at the window's end and ``seconds`` how long each was held, ``unknown`` among them: together
    the observed seconds. Both are None where no frame was counted. ``entries`` are changes into a state that were seen;
    a state that is not named had none.
    """

    counter_id: str
    since: str
    last: str | None
    seconds: dict[str, float] | None
    entries: dict[str, int] = Field(default_factory=dict)
    total_entries: dict[str, int] = Field(default_factory=dict)


class Window(MachineModel):
    """A window's borders."""

    start: str
    end: str


class CountReport(MachineModel):
    """The counts of one camera over one window.

    ``(store_id, seq)`` identifies it: rising by one over all reports and events of a box and across boots, so that a
    gap is visible and a repeated delivery harmless. ``count`` and the zones are None where no frame was counted: no
    data is not zero; ``count`` also where the model classifies, which gives ``states`` instead. ``scale`` is what a
    density model's counts were multiplied with for this camera, None where they are as the model gave them.
    ``coverage`` is observed seconds over window seconds, 0 to 1. ``artifact_digest`` is of what counted the window's
    last frame, None where none was counted; ``earlier_digests`` of what counted before it in this window, where a
    model was swapped for another.
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
    states: dict[str, StateCounts] = Field(default_factory=dict)
    scale: float | None = None


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


class StateEvent(Event):
    """A question's state changed; numbered and switched on like crossings, also counted in a CountReport.

    ``at`` is when the frame was taken with which it was certain. ``entry`` is whether it counts as an entry: the state
    that was known last was another one.
    """

    kind: Literal["state"] = "state"
    question: Id
    counter_id: str
    before: str
    state: str
    entry: bool


class StateNow(MachineModel):
    """The state of one question, and since when; None without fresh frames. ``entries`` are totals, by state."""

    state: str | None
    since: str | None
    entries: dict[str, int] = Field(default_factory=dict)


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
    states: dict[str, StateNow] = Field(default_factory=dict)


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
    epoch: int | None = None
    config_revision: int | None = None
    model_revision: int | None = None
    models: dict[str, str] = Field(default_factory=dict)


class Considered(MachineModel):
    """An artifact that was looked at.

    ``refused`` is why it was not taken, None for the one that was; ``why`` is why that one was, where it was measured
    on this box. ``model`` is the slot whose bundle it is of.
    """

    artifact: str
    refused: str | None
    model: Id = "main"
    why: str | None = None


class FactsMessage(MachineModel):
    """What the box is and which artifacts it looked at; retained."""

    device: Id
    labels: dict[str, str] = Field(default_factory=dict)
    facts: dict[str, str | int | float | bool | list[str]]
    artifacts: list[Considered] = Field(default_factory=list)


class StageLatency(MachineModel):
    """Milliseconds over the last ``n`` samples; ``p95`` is None from an agent that did not send it yet."""

    n: int
    p50: float
    p90: float
    p95: float | None = None
    p99: float


Indicator = Literal["scores", "counts", "brightness", "sharpness", "empty"]
"""What is watched for drift."""

DRIFT_INDICATORS: tuple[Indicator, ...] = get_args(Indicator)


class DriftIndicator(MachineModel):
    """One thing that is watched for drift, over the hour that was judged last.

    ``value`` is of that hour, ``usual`` what it is held against, ``change`` how far it is off: value over usual less 1,
    or for ``scores`` the population stability index itself. ``waiting`` is what is missing until it can be judged; then
    ``change`` is None. ``warn`` holds until two hours in a row are usual again.
    """

    value: float | None = None
    usual: float | None = None
    change: float | None = None
    warn: bool = False
    waiting: str | None = None


class CameraDrift(MachineModel):
    """Whether a camera still sees and counts as it used to; thresholds: docs/drift.md.

    ``hour`` is the UTC beginning of the hour judged last, None before the first; ``since`` is when the camera's past
    began: it begins anew where its source, its lines or its model changed. ``warnings`` says what to do, one sentence
    for each indicator that warns. ``scores_histogram`` has the hour's detections by score in tenths, or for a density
    model its frames by the peak of their map. ``brightness_now`` and ``sharpness_now`` are of the last window.
    """

    since: str | None = None
    hour: str | None = None
    scores: DriftIndicator
    counts: DriftIndicator
    brightness: DriftIndicator
    sharpness: DriftIndicator
    empty: DriftIndicator
    warnings: tuple[str, ...] = ()
    scores_histogram: tuple[int, ...] = ()
    brightness_now: float | None = None
    sharpness_now: float | None = None


class CameraHealth(MachineModel):
    """How a camera runs; ``latency_ms`` is from capture to counted."""

    fps: float
    latency_ms: StageLatency | None
    frames_seen: int
    frames_dropped: dict[str, int]
    reconnects: int
    quality: Quality
    problem: str | None = None
    drift: CameraDrift | None = None


class EngineProgress(MachineModel):
    """How far an engine is that is being built: seconds since it began; 0 to 1 where its builder tells it."""

    artifact: str
    seconds: float
    fraction: float | None = None
    phase: str = ""


class ModelHealth(MachineModel):
    """How a model runs: the artifact that counts, None while none does, and what takes over from it next."""

    artifact: str | None
    building: EngineProgress | None = None


class Temperature(MachineModel):
    """What a sensor reads, in degrees Celsius.

    From ``hot`` on the box sheds load (docs/telemetry.md); None where nothing is shed for this sensor.
    """

    celsius: float
    hot: float | None


class Throttling(MachineModel):
    """Whether heat or a weak supply holds the box below what it was set to run at.

    ``reasons`` are what holds it now, in the words of its kernel, firmware or driver; ``caps`` the limits of power and
    current that it has reached, which is usual at full load and no throttling. ``seconds`` is how long it has been
    held, None while it is not; ``spells`` how often that began since the agent started.
    """

    now: bool
    reasons: tuple[str, ...] = ()
    caps: tuple[str, ...] = ()
    seconds: float | None = None
    spells: int = 0


class Accelerator(MachineModel):
    """A GPU or NPU; ``load`` is the share of the time that it is busy, 0 to 1, memory in MB of 10^6 bytes."""

    load: float | None = None
    mhz: float | None = None
    memory_used_mb: float | None = None
    memory_mb: float | None = None


class Telemetry(MachineModel):
    """What the hardware tells of itself; what it does not tell is absent or None, never 0.

    ``temperatures`` by sensor, ``hottest`` the sensor that reads most and ``celsius`` what it reads; ``watts`` by rail,
    as the board names them (some are parts of others); ``cpu_load`` is the share of all cores that is busy, 0 to 1;
    memory is the whole box's, in MB of 10^6 bytes, ``memory_used_mb`` what could not be had without swapping.
    """

    temperatures: dict[str, Temperature] = Field(default_factory=dict)
    hottest: str | None = None
    celsius: float | None = None
    throttling: Throttling | None = None
    watts: dict[str, float] = Field(default_factory=dict)
    cpu_load: float | None = None
    memory_used_mb: float | None = None
    memory_mb: float | None = None
    accelerators: dict[str, Accelerator] = Field(default_factory=dict)


class SheddingState(MachineModel):
    """Which share of the frames is taken so that the box cools, 1 where it takes all.

    ``why`` is what the last step down was for, ``seconds`` how long fewer are taken; both None where all are.
    """

    share: float = Field(gt=0, le=1)
    why: str | None = None
    seconds: float | None = None


class Health(MachineModel):
    """How the box runs; absent means not known, never 0.

    ``models`` are by their slots. ``outbox_dropped``
    counts reports and events that nobody will get, since the store began: the outbox was full, or the disk refused them
    for too long; each is a gap in the numbers. ``windows_held`` are windows that wait in memory while the disk refuses
    them; ``windows_lost`` those given up since the start, which become part of ``outbox_dropped`` once the disk writes
    again. ``disk_bytes_per_day`` is what the store writes, measured since the start and scaled to a day.
    ``telemetry`` is None where the hardware did not answer lately, ``shedding`` where it is switched off.
    ``published_ms`` is from the capture of the newest frame in a report until the report is on the disk and with the
    link to the broker, over the last reports of all cameras.
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
    published_ms: StageLatency | None = None
    cameras: dict[str, CameraHealth]
    models: dict[str, ModelHealth] = Field(default_factory=dict)
    telemetry: Telemetry | None = None
    shedding: SheddingState | None = None
