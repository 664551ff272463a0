"""What the HTTP API answers of rollouts, and takes; the pages show the same."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from fleet.rollout.asking import Asked
from fleet.rollout.boxes import BoxState
from fleet.rollout.rules import Action, ClassState, RolloutState
from fleet.rollout.spec import RolloutSpec

_COMMITTED: JsonDict = {
    "committed": 5, "failed": 0, "pending": 1, "silent": 0, "unreached": 0, "waiting": 0, "hard": 0,
    "held": 0, "forgiven_failed": 0, "forgiven_silent": 0,
}  # fmt: skip


class RolloutSummary(BaseModel):
    """A rollout, without its boxes; ``revision`` counts the changes that people made."""

    id: int
    spec: RolloutSpec
    state: RolloutState
    reason: str
    revision: int
    created: str
    created_by: str
    ended: str | None


class CountsAnswer(BaseModel):
    """How boxes stand.

    Attributes:
        committed: run it.
        failed: do not, and are not offered it again by themselves.
        pending: were offered it, and are heard of.
        silent: were reached and are not heard of any more, or came to no end before the deadline.
        unreached: were offered it and are offline ever since; they count nowhere.
        waiting: are to be offered it.
        hard: of ``failed``, those that run nothing now, without those that were accepted.
        held: are to be offered it once their penalty for a failure elsewhere is over; they count nowhere.
        forgiven_failed: of ``failed``, those that a person accepted.
        forgiven_silent: of ``silent``, the same.
    """

    model_config = ConfigDict(json_schema_extra={"example": _COMMITTED})

    committed: int
    failed: int
    pending: int
    silent: int
    unreached: int
    waiting: int
    hard: int
    held: int
    forgiven_failed: int
    forgiven_silent: int


class WaveAnswer(BaseModel):
    """A wave of a hardware class, from 0, and how the boxes that it adds stand."""

    wave: int
    counts: CountsAnswer


class ClassAnswer(BaseModel):
    """A hardware class of a rollout.

    Attributes:
        wave: the newest that is open, from 0; -1 before the first.
        opened: when.
        reason: what its gate says.
        forgiven: failed and silent boxes that a person accepted.
        boxes: of all waves.
        counts: of the waves that are open: what the gate judges.
        out: boxes that no gate counts any more, by their state.
    """

    hardware_class: str
    state: ClassState
    wave: int
    opened: str | None
    reason: str
    forgiven: int
    boxes: int
    counts: CountsAnswer
    out: dict[BoxState, int]
    waves: list[WaveAnswer]


class EventAnswer(BaseModel):
    """Something that happened, in a hardware class or, where that is null, in all of it."""

    model_config = ConfigDict(populate_by_name=True)

    at: str
    hardware_class: str | None = Field(alias="class")
    what: str
    detail: str


class RolloutAnswer(RolloutSummary):
    """A rollout with its hardware classes; ``actions`` are what a person may do now, ``events`` the newest first."""

    boxes: int
    committed: int
    actions: list[Action]
    classes: list[ClassAnswer]
    events: list[EventAnswer]


class RolloutBoxAnswer(BaseModel):
    """A box of a rollout, and why it stands as it does."""

    device: str
    hardware_class: str
    wave: int
    state: BoxState
    attempts: int
    offered: str | None
    changed: str
    code: str | None
    reason: str


class PlannedWaveAnswer(BaseModel):
    """A wave as it is planned; ``proves`` says what no failure in it would prove."""

    wave: int
    boxes: list[str]
    cumulated: int
    offline: int
    bound: float
    proves: str


class PlannedClassAnswer(BaseModel):
    """A hardware class as it is planned."""

    hardware_class: str
    waves: list[PlannedWaveAnswer]
    warnings: list[str]


class LeftOutAnswer(BaseModel):
    """Boxes that do not get it, for one reason."""

    kind: str
    reason: str
    devices: list[str]


class PlanAnswer(BaseModel):
    """A plan; ``id`` is null where it was only planned."""

    id: int | None
    spec: RolloutSpec
    boxes: int
    classes: list[PlannedClassAnswer]
    left_out: list[LeftOutAnswer]
    in_other_rollouts: dict[str, list[str]]
    coverage: dict[str, int]
    notes: list[str]


class NewRollout(Asked):
    """A rollout to plan, and to make where ``dry_run`` is false."""

    dry_run: bool = False


class ActionAsked(BaseModel):
    """Which rollout the action is for: nothing is done where it was changed since it had this revision."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"revision": 3}})

    revision: int = Field(ge=1)
