"""The pages, for people."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from fleet.access.roles import ROLES, role_of
from fleet.console import layer_views, rollout_views, views, wanted_views
from fleet.console.access import Admin, Reader, VisitorOf, address_of, stranger
from fleet.console.chart import HEIGHT, WIDTH, Chart, chart
from fleet.console.console import Console, ConsoleOf
from fleet.console.errors import Refused
from fleet.console.grid import CELL, grid
from fleet.console.signing_in import change_password, next_page, sign_in
from fleet.console.templating import page
from fleet.inventory.box_state import BOX_STATES, BoxState
from fleet.inventory.query import QueryError

router = APIRouter(include_in_schema=False)

_PAGE = 100
_LARGEST_ID = 2**63 - 1
_HOUR_MS = 3_600_000
_SPANS = {6: 300_000, 24: 900_000, 168: 7_200_000, 720: 28_800_000}
"""Hours that a chart may show, and the milliseconds that a point of it is of."""

Text = Annotated[str, Query(max_length=views.LONGEST_QUERY)]
Hours = Annotated[int, Query()]
Field = Annotated[str, Form(max_length=1_000)]


@router.get("/")
def overview(request: Request, console: ConsoleOf, visitor: Reader, query: Text = "") -> HTMLResponse:
    """The fleet at a glance."""
    try:
        chosen, problem = views.chosen(console, query), ""
    except QueryError as error:
        chosen, problem = [], str(error)
    drawn, counted = grid(chosen), views.overview(chosen)
    values: dict[str, Any] = {"grid": drawn, "overview": counted, "cell": CELL}
    values |= {"ahead": wanted_views.ahead(console), "going": rollout_views.going(console)}
    return page("overview", request, visitor, 400 if problem else 200, query=query, problem=problem, **values)


@router.get("/devices")
def devices(
    request: Request,
    console: ConsoleOf,
    visitor: Reader,
    query: Text = "",
    after: Annotated[str, Query(max_length=64)] = "",
    health: Annotated[BoxState | Literal[""], Query()] = "",
) -> HTMLResponse:
    """The list of boxes."""
    try:
        found, problem = views.devices(console, query, _PAGE, after, health or None), ""
    except QueryError as error:
        found, problem = None, str(error)
    more = found and found.next and urlencode({"query": query, "health": health, "after": found.next})
    asked = {"query": query, "health": health, "healths": BOX_STATES, "after": after}
    return page("devices", request, visitor, 400 if problem else 200, problem=problem, found=found, more=more, **asked)


@router.get("/devices/{device}")
def device(request: Request, console: ConsoleOf, visitor: Reader, device: str, hours: Hours = 24) -> HTMLResponse:
    """A box."""
    found = views.device(console, device)
    hours = hours if hours in _SPANS else 24
    values: dict[str, Any] = {"charts": _charts(console, device, hours), "hours": hours, "spans": tuple(_SPANS)}
    values |= {"wanted": wanted_views.wanted(console, device), "rollouts": rollout_views.of_box(console, device)}
    values["resolved"] = layer_views.resolved(console, device)
    changes = views.changes(console, device, 50)
    return page("device", request, visitor, device=found, changes=changes, width=WIDTH, height=HEIGHT, **values)


@router.get("/audit")
def audit(
    request: Request,
    console: ConsoleOf,
    visitor: Reader,
    before: Annotated[int | None, Query(ge=0, le=_LARGEST_ID)] = None,
    subject: Annotated[str, Query(max_length=160)] = "",
) -> HTMLResponse:
    """Who changed what."""
    found = views.audit(console, 50, before, subject or None)
    more = None if found.next is None else urlencode({"subject": subject, "before": found.next})
    return page("audit", request, visitor, found=found, subject=subject, more=more, before=before)


@router.get("/api")
def api(request: Request, visitor: Reader) -> HTMLResponse:
    """The HTTP API, described."""
    described: dict[str, Any] = request.app.openapi()
    return page("api", request, visitor, paths=described["paths"], schemas=described["components"]["schemas"])


@router.get("/users")
def users(request: Request, console: ConsoleOf, visitor: Admin) -> HTMLResponse:
    """Who may use the console."""
    return page("users", request, visitor, users=console.users.all(), roles=ROLES)


@router.post("/users/{name}")
def change_user(
    console: ConsoleOf, visitor: Admin, name: str, role: Field = "", disabled: Annotated[str, Form()] = ""
) -> Response:
    """Give a user another role, disable or enable them."""
    console.users.change(
        name,
        visitor.author,
        console.now_ms(),
        role=role_of(role) if role else None,
        disabled={"yes": True, "no": False}.get(disabled),
    )
    return _to("/users")


@router.get("/account")
def account(request: Request, visitor: Reader) -> HTMLResponse:
    """Who is signed in."""
    return page("account", request, visitor)


@router.post("/account/password")
def new_password(console: ConsoleOf, request: Request, visitor: VisitorOf, old: Field, new: Field) -> Response:
    """Give oneself another password; it ends all of one's sessions."""
    change_password(console, visitor, old, new, address_of(request))
    return _to("/login")


@router.get("/login")
def login_form(request: Request, console: ConsoleOf, next: Text = "/") -> HTMLResponse:  # noqa: A002 - it stands in the address
    """Where one signs in."""
    stranger(request, console)
    return page("login", request, None, next=next_page(next), problem="", name="")


@router.post("/login")
def login(
    request: Request,
    console: ConsoleOf,
    name: Field,
    password: Field,
    next: Field = "/",  # noqa: A002 - it stands in the address
) -> Response:
    """Sign in."""
    try:
        token = sign_in(console, name, password, address_of(request))
    except Refused as refusal:
        said = page("login", request, None, refusal.status, next=next_page(next), problem=refusal.message, name=name)
        said.headers.update(refusal.headers)
        return said
    answer = _to(next_page(next))
    _set_cookie(answer, console, token)
    return answer


@router.post("/logout")
def logout(request: Request, console: ConsoleOf, _visitor: VisitorOf) -> Response:
    """Sign out."""
    console.sessions.end(request.cookies.get(console.settings.cookie, ""))
    answer = _to("/login")
    answer.delete_cookie(console.settings.cookie, secure=console.settings.https, httponly=True, samesite="strict")
    return answer


def to_login(request: Request) -> Response:
    """Where somebody goes who is not signed in."""
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return _to(f"/login?{urlencode({'next': asked})}")


def _to(address: str) -> Response:
    return RedirectResponse(address, 303)


def _set_cookie(answer: Response, console: Console, token: str) -> None:
    answer.set_cookie(
        console.settings.cookie, token, httponly=True, samesite="strict", secure=console.settings.https, path="/"
    )


def _charts(console: Console, device: str, hours: int) -> list[Chart]:
    step = _SPANS[hours]
    end = console.now_ms() // step * step + step
    start = end - hours * _HOUR_MS
    counts = views.counts(console, device, start, end, step)
    cameras = dict.fromkeys(one.camera for one in counts)
    return [chart(name, [one for one in counts if one.camera == name], start, end, step) for name in cameras]
