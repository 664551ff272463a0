"""Rollouts in the HTTP API."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from fleet.console import rollout_views as views
from fleet.console.access import Reader, Roller
from fleet.console.api_errors import ERRORS
from fleet.console.console import ConsoleOf
from fleet.console.rollout_documents import (
    ActionAsked,
    NewRollout,
    PlanAnswer,
    RolloutAnswer,
    RolloutBoxAnswer,
    RolloutSummary,
)
from fleet.rollout.boxes import BoxState
from fleet.rollout.rules import Action

router = APIRouter(prefix="/api/v1/rollouts", responses=ERRORS, tags=["rollouts"])

_LARGEST = 2**63 - 1

Number = Annotated[int, Path(ge=1, le=_LARGEST, description="Of the rollout.")]
Limit = Annotated[int, Query(ge=1, le=1_000)]
States = Annotated[list[BoxState] | None, Query(description="Only boxes in these states; may be repeated.")]


@router.get("")
def rollouts(console: ConsoleOf, _visitor: Reader, limit: Limit = 50) -> list[RolloutSummary]:
    """Rollouts, newest first."""
    return views.newest(console, limit)


@router.post("", status_code=201, responses={200: {"model": PlanAnswer, "description": "The plan of a dry run."}})
def create(console: ConsoleOf, visitor: Roller, asked: NewRollout, response: Response) -> PlanAnswer:
    """Plan a rollout of a release of the repository, and make it unless ``dry_run`` is true."""
    made = views.plan(console, asked)
    if asked.dry_run:
        response.status_code = 200
        return views.plan_answer(made.spec, made.planned, None)
    number, planned = views.create(console, made, visitor)
    response.headers["Location"] = f"/api/v1/rollouts/{number}"
    return views.plan_answer(made.spec, planned, number)


@router.get("/{number}")
def rollout(console: ConsoleOf, _visitor: Reader, number: Number) -> RolloutAnswer:
    """A rollout: each hardware class with its wave and gate, what may be done now, and what happened."""
    return views.answer(views.view(console, number))


@router.get("/{number}/boxes")
def boxes(
    console: ConsoleOf, _visitor: Reader, number: Number, state: States = None, limit: Limit = 100
) -> list[RolloutBoxAnswer]:
    """Boxes of a rollout, and why each stands as it does; the latest changes first."""
    return views.boxes(console, number, limit, state or ())


@router.post("/{number}/{action}")
def act(console: ConsoleOf, visitor: Roller, number: Number, action: Action, asked: ActionAsked) -> RolloutAnswer:
    """Approve, pause, resume, retry, abort or revert a rollout.

    409 where somebody changed it since it had that revision (``current`` says how it is), or where its state does not
    allow it (``expected`` says what it allows).
    """
    return views.answer(views.do(console, number, action, visitor, asked.revision))
