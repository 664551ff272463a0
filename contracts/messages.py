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
