"""What a box should run, its revisions, and how it stands to what the box says that it runs. Pure.

Revisions rise with every change and are never used twice within an epoch. The epoch is of the database's memory: it
rises where that was lost, so that boxes take revisions again that are lower than those they have seen.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from contracts.desired import Desired, DesiredModel, canonical
from fleet.inventory.device import Device

NOTHING = "{}"
"""A configuration that sets nothing."""


class Revisions(NamedTuple):
    """Of what a box should run; equal ones are of the same content."""

    epoch: int
    config: int
    model: int


@dataclass(frozen=True)
class Wanted:
    """What a box should run.

    Args:
        device: its id.
        epoch: of the database's memory.
        config_revision: counts the changes of ``config``; 0 before the first.
        config: canonical JSON of a `contracts.desired.DesiredConfig`, with its secrets.
        problem: why the layers make no configuration for it, ``config`` being the one before; None where they do.
        model_revision: counts the changes of ``models``; 0 where the models stay as they are.
        models: slot to what it should run.
        document: as it is published, signed where a key is set; empty before the first.
        expires_ms: from when on boxes do not take it any more.
        waits_ms: since when it is to be published; None where the broker has it.
        ahead: whether the box was given a newer one than this database knows.
    """

    device: str
    epoch: int
    config_revision: int = 0
    config: str = ""
    problem: str | None = None
    model_revision: int = 0
    models: Mapping[str, DesiredModel] = field(default_factory=dict)
    document: str = ""
    expires_ms: int = 0
    waits_ms: int | None = None
    ahead: bool = False

    @property
    def revisions(self) -> Revisions:
        """Its revisions."""
        return Revisions(self.epoch, self.config_revision, self.model_revision)


def in_epoch(wanted: Wanted, epoch: int) -> Wanted:
    """The same in a higher epoch; in no lower one."""
    return replace(wanted, epoch=max(wanted.epoch, epoch))


def with_config(wanted: Wanted, config: str) -> Wanted:
    """With a configuration that was made of the layers; the same one is no change."""
    if config == wanted.config:
        return replace(wanted, problem=None)
    return replace(wanted, config=config, config_revision=wanted.config_revision + 1, problem=None)


def with_problem(wanted: Wanted, problem: str) -> Wanted:
    """Without a configuration that fits: the one before stays."""
    return replace(wanted, problem=problem)


def with_models(wanted: Wanted, models: Mapping[str, DesiredModel], *, again: bool = False) -> Wanted:
    """With other models; the same ones are no change, unless the box should try them ``again``."""
    if dict(models) == dict(wanted.models) and not again:
        return wanted
    changed = replace(wanted, models=dict(models), model_revision=wanted.model_revision + 1)
    # A document has a configuration: one that sets nothing where the layers make none.
    return changed if changed.config else replace(with_config(changed, NOTHING), problem=wanted.problem)


def document(wanted: Wanted, issued_ms: int, expires_ms: int) -> str:
    """What is published, before it is signed: a `contracts.desired.Desired` as canonical JSON.

    The configuration's bytes depend on nothing but its content, as boxes tell a revision that is used twice by them.
    """
    plain = {
        "device": wanted.device,
        "epoch": wanted.epoch,
        "config_revision": wanted.config_revision,
        "config": json.loads(wanted.config),
        "model_revision": wanted.model_revision,
        "models": {slot: model.model_dump(mode="json") for slot, model in sorted(wanted.models.items())},
        "issued": _text(issued_ms),
        "expires": _text(expires_ms),
    }
    Desired.model_validate(plain)  # a box would refuse it, and nobody would know why
    return canonical(plain).decode()


Standing = Literal["same", "behind", "ahead"]
"""How the document that a box runs stands to the one that it should run."""


def standing(device: Device, wanted: Revisions) -> Standing:
    """Compare what the box says with what it should run; models that it could not take make it stand behind."""
    if device.epoch is None:
        return "behind"
    if device.epoch != wanted.epoch:
        return "behind" if device.epoch < wanted.epoch else "ahead"
    config, models = device.config_revision or 0, device.model_revision or 0
    if config > wanted.config or models > wanted.model:
        return "ahead"
    return "same" if (config, models) == (wanted.config, wanted.model) else "behind"


def first_epoch(now_ms: int) -> int:
    """The epoch of a new database: seconds since 1970, so that it is above that of any that was lost before."""
    return now_ms // 1000


def raised_epoch(epoch: int, now_ms: int) -> int:
    """The epoch of a database that was restored; no box's word enters it, as one could say any number."""
    return max(epoch + 1, now_ms // 1000)


def _text(at_ms: int) -> str:
    return dt.datetime.fromtimestamp(at_ms / 1000, dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
