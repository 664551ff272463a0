"""Rollouts, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Form, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from contracts.documents import read_document
from contracts.errors import WrittenError
from fleet.access.visitor import Visitor
from fleet.console import rollout_views as views
from fleet.console.access import Reader, Roller
from fleet.console.bars import WIDTH, bar
from fleet.console.console import Console, ConsoleOf
from fleet.console.forms import Fields
from fleet.console.templating import page
from fleet.publishing.errors import ReleaseError
from fleet.rollout.acting import RolloutConflictError
from fleet.rollout.amounts import show_duration, show_share
from fleet.rollout.asking import Asked
from fleet.rollout.boxes import BOX_STATES, REFUSED, BoxState
from fleet.rollout.rules import MEANINGS, Action, ActionRefusedError
from fleet.rollout.spec import HALTS, ON_HALTS, RolloutSpec
from fleet.rollout.view import ClassView, RolloutView
from fleet.store.rollouts import RolloutClass

router = APIRouter(prefix="/rollouts", include_in_schema=False)

_SHOWN = 50
_MOST_BOXES = 500
_LARGEST = 2**63 - 1
_FIRST = frozenset({"release", "query", "waves", "risk", "soak", "max_failed"})
"""Fields of the form that are always in sight."""

_OPENED = frozenset({"open", "soaking", "halted", "reverting", "aborted"})

Number = Annotated[int, Path(ge=1, le=_LARGEST)]


@router.get("")
def rollouts(request: Request, console: ConsoleOf, visitor: Reader) -> HTMLResponse:
    """The list of rollouts."""
    return page("rollouts", request, visitor, found=views.newest(console, _SHOWN))


@router.get("/new")
def new(request: Request, console: ConsoleOf, visitor: Roller) -> HTMLResponse:
    """What a rollout should do, and the plan once that is said; nothing is made yet."""
    given = dict(request.query_params)
    if "release" not in given:
        return _form(request, console, visitor, {})
    try:
        plan = views.plan(console, _asked(given))
    except (WrittenError, ReleaseError) as error:
        return _form(request, console, visitor, given, 400, problem=str(error))
    return _form(request, console, visitor, given, plan=plan)


@router.post("")
def create(request: Request, console: ConsoleOf, visitor: Roller, fields: Fields) -> Response:
    """Make a rollout whose plan was looked at."""
    given = {name: value for name, value in fields.items() if name in Asked.model_fields}
    try:
        plan = views.plan(console, _asked(given))
        if plan.seen != fields.get("seen"):
            changed = "The fleet changed meanwhile, and the plan with it; this is how it is now."
            return _form(request, console, visitor, given, 409, plan=plan, problem=changed)
        number, _ = views.create(console, plan, visitor)
    except (WrittenError, ReleaseError) as error:
        return _form(request, console, visitor, given, 400, problem=str(error))
    return RedirectResponse(f"/rollouts/{number}", 303)


@router.get("/{number}")
def rollout(request: Request, console: ConsoleOf, visitor: Reader, number: Number) -> HTMLResponse:
    """A rollout."""
    return _rollout(request, console, visitor, number)


@router.get("/{number}/boxes")
def boxes(
    request: Request,
    console: ConsoleOf,
    visitor: Reader,
    number: Number,
    state: Annotated[str, Query(max_length=16)] = "",
) -> HTMLResponse:
    """Boxes of a rollout."""
    states: list[BoxState] = [one for one in BOX_STATES if one == state]
    found = views.boxes(console, number, _MOST_BOXES, states)
    values: dict[str, Any] = {"found": found, "states": BOX_STATES, "state": state, "most": _MOST_BOXES}
    return page("rollout_boxes", request, visitor, number=number, **values)


@router.get("/{number}/{action}")
def confirm(request: Request, console: ConsoleOf, visitor: Roller, number: Number, action: Action) -> HTMLResponse:
    """What an action would do, before it is done."""
    found = views.view(console, number)
    if action not in found.actions:
        refused = ActionRefusedError(action, found.rollout.state, found.actions)
        return _rollout(request, console, visitor, number, 409, str(refused))
    values: dict[str, Any] = {"view": found, "action": action, "meaning": MEANINGS[action], "every": _bar(found)}
    return page("rollout_confirm", request, visitor, width=WIDTH, **values)


@router.post("/{number}/{action}")
def act(
    request: Request,
    console: ConsoleOf,
    visitor: Roller,
    number: Number,
    action: Action,
    revision: Annotated[int, Form(ge=1)],
) -> Response:
    """Do something to a rollout, as it was when the person looked at it."""
    try:
        views.do(console, number, action, visitor, revision)
    except (RolloutConflictError, ActionRefusedError) as error:
        return _rollout(request, console, visitor, number, 409, f"Nothing was done: {error}.")
    return RedirectResponse(f"/rollouts/{number}", 303)


def _rollout(
    request: Request, console: Console, visitor: Visitor, number: int, status: int = 200, problem: str = ""
) -> HTMLResponse:
    found = views.view(console, number)
    values: dict[str, Any] = {
        "view": found,
        "events": views.answer(found).events,
        "classes": [_class_values(found.rollout.spec, each, console.now_ms()) for each in found.classes],
        "failed": views.boxes(console, number, _SHOWN, REFUSED),
        "rules": rules(found.rollout.spec),
        "meaning": MEANINGS,
        "asks": _asks(found),
    }
    return page("rollout", request, visitor, status, problem=problem, width=WIDTH, every=_bar(found), **values)


def _asks(found: RolloutView) -> frozenset[Action]:
    """Actions that a person is asked about first: those that take a release away, or accept failures."""
    halted = any(each.stored.state == "halted" for each in found.classes) and found.rollout.state != "paused"
    return frozenset({"abort", "revert", "resume"} if halted else {"abort", "revert"})


def _bar(found: RolloutView) -> list[Any]:
    return [(each.stored.hardware_class, bar(each.every, each.out)) for each in found.classes]


def _class_values(spec: RolloutSpec, each: ClassView, now_ms: int) -> dict[str, Any]:
    """A hardware class as the template draws it."""
    stored = each.stored
    waves = [
        {
            "number": one.wave + 1,
            "size": str(spec.waves[one.wave]) if one.wave < len(spec.waves) else "",
            "state": _wave_state(stored, one.wave),
            "counts": one.counts,
            "bar": bar(one.counts, {}),
        }
        for one in each.waves
    ]
    going = stored.state in {"open", "soaking"} and stored.opened_ms is not None
    since = show_duration((now_ms - (stored.opened_ms or 0)) / 1000) if going else ""
    drawn = bar(each.every, each.out)
    return {
        "stored": stored, "bar": drawn, "waves": waves, "since": since, "of": len(spec.waves), "forgiven": each.forgiven
    }  # fmt: skip


def _wave_state(stored: RolloutClass, wave: int) -> str:
    if wave > stored.wave:
        return "to come"
    return stored.state if wave == stored.wave and stored.state in _OPENED else "done"


def rules(spec: RolloutSpec) -> list[tuple[str, str]]:
    """By what a rollout spreads, in words."""
    drift = "not judged" if spec.max_drift is None else f"at most {show_share(spec.max_drift)} against siblings"
    after = "a person decides" if spec.on_halt == "pause" else "the boxes get back what they ran"
    what = "the hardware class" if spec.halt == "class" else "all of it"
    rows = [
        ("Boxes", spec.query or "all"),
        ("Slot", spec.slot),
        ("Waves", ", ".join(map(str, spec.waves))),
        ("Soak", show_duration(spec.soak_seconds)),
        ("A gate lets through", f"{show_share(spec.max_failed)} failed, {show_share(spec.max_silent)} silent"),
        ("A gate asks for", f"{show_share(spec.min_committed)} of the reached boxes"),
        ("Silent", f"after {show_duration(spec.silent_after_seconds)}, or {show_duration(spec.deadline_seconds)}"),
        ("Counts may move", drift),
        ("A halt stops", f"{what}; then {after}"),
        ("Retries", str(spec.retries)),
    ]
    return [*rows, ("Later boxes", "get it too")] if spec.standing else rows


def _asked(given: Mapping[str, str]) -> Asked:
    """What a form asks for; empty fields are as the command has them.

    Raises:
        DocumentError: it does not fit.
    """
    known = {name: value for name, value in given.items() if name in Asked.model_fields and value.strip()}
    return read_document(Asked, known, "the form")


def _form(
    request: Request, console: Console, visitor: Visitor, given: Mapping[str, str], status: int = 200, **values: object
) -> HTMLResponse:
    names = [] if console.releases is None else console.releases.names()
    defaults = {name: field.default for name, field in Asked.model_fields.items()}
    known = {name: value for name, value in given.items() if name in Asked.model_fields}
    shown: dict[str, Any] = {"plan": None, "problem": "", "defaults": defaults, "given": known, **values}
    shown |= {"releases": names, "no_repository": "" if console.releases else views.NO_REPOSITORY}
    shown |= {"halts": HALTS, "on_halts": ON_HALTS}
    shown["further"] = any(value != str(defaults[name] or "") for name, value in known.items() if name not in _FIRST)
    return page("rollout_new", request, visitor, status, **shown)
