"""What the HTTP API answers, and the pages show."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from fleet.inventory.box_state import BoxState
from fleet.inventory.device import Device


class ClassCount(BaseModel):
    """The boxes of one hardware class."""

    hardware_class: str
    total: int
    states: dict[BoxState, int]


class Overview(BaseModel):
    """The fleet, counted.

    Attributes:
        total: boxes that the query means.
        states: how many are how; each state, 0 included.
        classes: the same of each hardware class.
        versions: of agents; "" where a box has not told.
    """

    total: int
    states: dict[BoxState, int]
    classes: list[ClassCount]
    versions: dict[str, int]


class DeviceSummary(BaseModel):
    """A box in a list."""

    device: str
    health: BoxState
    hardware_class: str
    version: str | None
    labels: dict[str, str]
    state: str | None
    update: str | None
    warnings: int
    last_seen: str | None


class DevicePage(BaseModel):
    """Some boxes, by id.

    Attributes:
        total: that the query means.
        devices: of this page.
        next: what to send as ``after`` for the next page; None where this is the last.
    """

    total: int
    devices: list[DeviceSummary]
    next: str | None


class DeviceAnswer(Device):
    """All that is known of a box; ``targets`` are those that its facts allow."""

    health: BoxState
    targets: list[str]
    first_heard: str
    last_seen: str | None


class ChangeAnswer(BaseModel):
    """What changed of a box; None of what was not there."""

    at: str
    what: str
    before: str | None
    after: str | None


class CountAnswer(BaseModel):
    """What a camera counted from ``start`` on, for the step that was asked for.

    Attributes:
        observed_seconds: how much of it was observed; where nothing was there is no row: no data is never 0.
        level: mean number of things in the picture; None where nothing was observed.
    """

    camera: str
    start: str
    observed_seconds: float
    level: float | None
    crossings_in: int
    crossings_out: int


class AuditAnswer(BaseModel):
    """Who changed what; ``diff`` is unified, without secrets, and empty where nothing has one."""

    id: int
    at: str
    who: str
    via: str
    action: str
    subject: str
    summary: str
    diff: str


class AuditPage(BaseModel):
    """Entries, newest first; ``next`` is what to send as ``before`` for the next page."""

    entries: list[AuditAnswer]
    next: int | None


class UserAnswer(BaseModel):
    """A user."""

    name: str
    role: str
    disabled: bool


class Me(BaseModel):
    """Who asks, and what they may do."""

    name: str
    role: str
    rights: list[str]


class ErrorAnswer(BaseModel):
    """Why something was not done; some errors say more: ``expected``, ``current``, ``at``."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"error": "forbidden", "message": "this takes the right 'rollout'; …"}}
    )

    error: str
    message: str
