"""How a box runs, as it publishes it on ``health``: what is absent is not known, never 0. Durations are seconds."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from contracts.documents import Id, MachineModel
from contracts.messages import Quality


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


MessageRefusal = Literal["not_text", "too_large", "unexpected", "failed"]
"""Why a message was refused before anybody looked at what it asks: its topic is no text; it is larger than any
document; nothing here takes what comes on its topic; who takes it failed on it, which is a fault of the agent."""

MESSAGE_REFUSALS: tuple[MessageRefusal, ...] = get_args(MessageRefusal)


class BrokerHealth(MachineModel):
    """How the link to the broker is.

    ``problem`` is what is wrong with it, None where nothing is known to be: why it cannot be reached, or what the
    broker does not let this box say. ``protocol`` is the version of MQTT, None without a connection.
    ``messages_refused`` counts what came since the start and was not even looked at, by reason; a document that asks
    for what cannot be is told on ``reported``, a request on its reply.
    """

    connected: bool
    problem: str | None = None
    protocol: Literal["5", "3.1.1"] | None = None
    messages_refused: dict[MessageRefusal, int] = Field(default_factory=dict)


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
    ``update_problems`` is what somebody has to see to about the models: one that runs was withdrawn, metadata ends.
    ``config_problems`` is the same about the box's own configuration: agent.toml did not come up, an older one runs.
    ``telemetry`` is None where the hardware did not answer lately, ``shedding`` where it is switched off.
    ``requests_refused`` are requests over MQTT that were not
    carried out since the start; of a flood of them most are not answered (docs/rpc.md).
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
    broker: BrokerHealth | None = None
    requests_refused: int | None = None
    cameras: dict[str, CameraHealth]
    models: dict[str, ModelHealth] = Field(default_factory=dict)
    update_problems: tuple[str, ...] = ()
    config_problems: tuple[str, ...] = ()
    telemetry: Telemetry | None = None
    shedding: SheddingState | None = None
