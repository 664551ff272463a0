"""What is known of one box, as it is stored, and a change of it, as it is remembered."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import Field

from contracts.desired import RefusedDocument, RunningModel
from contracts.documents import Id, MachineModel
from contracts.facts import FactValue
from contracts.messages import Considered
from contracts.update import UpdateReport

UNKNOWN_CLASS = "unknown"


class Device(MachineModel):
    """A box, as its messages describe it; None and empty where it has not told yet.

    Attributes:
        device: its id.
        boot_id: the newest boot; what it has not told yet is as the one before it told.
        past_boots: boots before it, newest first: their messages come too late.
        online: as its status says; a will says offline where the broker lost it.
        status_reason: why it is online or offline.
        version: of its agent.
        labels: from ``facts``: they are data and may change.
        facts: what it is.
        hardware_class: see `fleet.inventory.hardware_class`.
        artifacts: which it looked at, and why each was refused.
        epoch: of the desired document that runs, None where none does; so the two below.
        config_revision: of it.
        config_digest: of its configuration.
        model_revision: of the models that run.
        models: slot to what it runs.
        state: what runs: ``local``, ``ok``, ``degraded`` or ``confirming``; ``code`` and ``reason`` explain it.
        reported_boot: the boot whose report the lines from ``config_digest`` on are of.
        reported_seq: of that report; None where the agent numbers none.
        refused: the newest desired document that was not taken.
        update: the newest attempt to change the models.
        drift_warnings: ``camera: what to do``, from ``health``.
        update_problems: what somebody has to see to about the models, from ``health``.
        config_problems: the same about the box's own configuration.
    """

    device: Id
    boot_id: str | None = None
    past_boots: tuple[str, ...] = ()
    online: bool | None = None
    status_reason: str | None = None
    version: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    facts: dict[str, FactValue] = Field(default_factory=dict)
    hardware_class: str = UNKNOWN_CLASS
    artifacts: tuple[Considered, ...] = ()
    epoch: int | None = None
    config_revision: int | None = None
    config_digest: str | None = None
    model_revision: int | None = None
    models: dict[str, RunningModel] = Field(default_factory=dict)
    state: str | None = None
    code: str | None = None
    reason: str | None = None
    reported_boot: str | None = None
    reported_seq: int | None = None
    refused: RefusedDocument | None = None
    update: UpdateReport | None = None
    drift_warnings: tuple[str, ...] = ()
    update_problems: tuple[str, ...] = ()
    config_problems: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """Everything that somebody should look at."""
        return (*self.drift_warnings, *self.update_problems, *self.config_problems)


class Change(NamedTuple):
    """One thing that changed: its name, and how it was and is, as texts; None of what was not there."""

    what: str
    before: str | None
    after: str | None
