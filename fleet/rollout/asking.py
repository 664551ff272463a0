"""A rollout as a person asks for one, in words such as ``30m`` and ``1%``; for commands, pages and programs alike."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from contracts.documents import WrittenModel, read_document
from contracts.errors import WrittenError
from fleet.rollout.amounts import parse_duration, parse_share
from fleet.rollout.creating import Planned, plan_rollout
from fleet.rollout.planning import Proposal, propose_waves
from fleet.rollout.release import RolloutRelease
from fleet.rollout.spec import RolloutSpec, Wave, parse_waves
from fleet.store.database import Database

Amount = Annotated[str, Field(max_length=64)]

_EXAMPLE: JsonDict = {
    "release": "vehicle-density@1.1.0",
    "query": "site=taipei & target~jetson-*",
    "waves": "1,5%,25%,100%",
    "soak": "30m",
    "max_failed": "1%",
}


class Asked(WrittenModel):
    """What a rollout should do; what is left out is as the command has it.

    Attributes:
        release: as NAME@VERSION.
        query: which boxes; empty means every one.
        slot: of the boxes, that gets the model.
        waves: boxes of each hardware class, or shares of it, with those before; ``1,5%,25%,100%`` where neither they
            nor ``risk`` are given.
        risk: instead of waves: such that exclude this failure rate before every box gets it.
        soak: how long a wave goes on before the next is opened.
        max_failed: share of boxes that may fail.
        min_committed: share of the reached boxes that must run it.
        max_silent: share of the reached boxes that may fall silent.
        silent_after: from when on a box that says nothing is silent.
        deadline: from when on a box that comes to no end is silent.
        retries: for boxes that fail for the moment.
        halt: what a halt stops: ``class``, or ``all`` of it.
        on_halt: what follows: ``pause`` until somebody acts, or ``revert``.
        max_drift: how far counts may move against boxes that were not updated; not judged where left out.
        penalty: how long no rollout takes a box that failed.
        approval: wait until somebody approves it.
        standing: boxes that come later and fit get it too.
    """

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    release: Annotated[str, Field(max_length=200)]
    query: Annotated[str, Field(max_length=4_096)] = ""
    slot: Annotated[str, Field(max_length=64)] = "main"
    waves: Annotated[str, Field(max_length=400)] | None = None
    risk: Amount | None = None
    soak: Amount = "30m"
    max_failed: Amount = "1%"
    min_committed: Amount = "90%"
    max_silent: Amount = "5%"
    silent_after: Amount = "15m"
    deadline: Amount = "26h"
    retries: int = 1
    halt: Annotated[str, Field(max_length=16)] = "class"
    on_halt: Annotated[str, Field(max_length=16)] = "pause"
    max_drift: Amount | None = None
    penalty: Amount = "1d"
    approval: bool = False
    standing: bool = False


def release_name(text: str) -> tuple[str, str]:
    """Name and version of NAME@VERSION.

    Raises:
        WrittenError: it is not of this form.
    """
    name, at, version = text.partition("@")
    if not at or not name or not version:
        raise WrittenError(f"release {text!r} should be NAME@VERSION, such as vehicle-density@1.1.0")
    return name, version


def plan_asked(
    database: Database, asked: Asked, release: RolloutRelease, now_ms: int
) -> tuple[RolloutSpec, Planned, Proposal | None]:
    """The rollout that is asked for, and its plan over all boxes; nothing is written.

    Returns:
        What it is to do, the plan, and the waves that were proposed where a risk was given.

    Raises:
        WrittenError: an amount cannot be read, or waves and risk are both given.
        DocumentError: what is asked does not fit.
        QueryError: the query cannot be read, or names what no box has.
        DatabaseError: it cannot be read.
    """
    if asked.waves is not None and asked.risk is not None:
        raise WrittenError("waves and risk each say the waves; give one of them")
    spec = _spec(asked, release, None if asked.waves is None else parse_waves(asked.waves))
    planned = plan_rollout(database, spec, release, now_ms)
    if asked.risk is None:
        return spec, planned, None
    proposal = propose_waves(planned.boxes_per_class, _risk(asked.risk))
    spec = _spec(asked, release, proposal.waves)
    return spec, plan_rollout(database, spec, release, now_ms), proposal


def proposal_lines(proposal: Proposal, risk: str) -> list[str]:
    """What was proposed, and for which classes it is too much to ask, in words."""
    waves = ",".join(map(str, proposal.waves))
    head = f"waves that exclude {risk}: {waves} ({proposal.needed} boxes without failure)"
    return [head, *(f"  {name}: {why}" for name, why in proposal.too_small.items())]


def _risk(text: str) -> float:
    share = parse_share(text)
    if not 0 < share < 1:
        raise WrittenError(f"a risk of {text} cannot be excluded by any number of boxes; give the rate you can bear")
    return share


def _spec(asked: Asked, release: RolloutRelease, waves: tuple[Wave, ...] | None) -> RolloutSpec:
    document: dict[str, object] = {
        "model": release.model,
        "version": release.version,
        "manifest": release.manifest,
        "slot": asked.slot,
        "artifacts": release.digests,
        "targets": release.targets,
        "query": asked.query,
        "soak_seconds": parse_duration(asked.soak),
        "max_failed": parse_share(asked.max_failed),
        "min_committed": parse_share(asked.min_committed),
        "max_silent": parse_share(asked.max_silent),
        "silent_after_seconds": parse_duration(asked.silent_after),
        "deadline_seconds": parse_duration(asked.deadline),
        "retries": asked.retries,
        "halt": asked.halt,
        "on_halt": asked.on_halt,
        "max_drift": None if asked.max_drift is None else parse_share(asked.max_drift),
        "penalty_seconds": parse_duration(asked.penalty),
        "approval": asked.approval,
        "standing": asked.standing,
    }
    return read_document(RolloutSpec, document if waves is None else {**document, "waves": waves}, "the rollout")
