"""The HTTP API, ``/api/v1``."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict

from fleet.access.passwords import LONGEST
from fleet.access.roles import Role
from fleet.console import views
from fleet.console.access import Admin, Reader
from fleet.console.api_errors import ERRORS
from fleet.console.console import ConsoleOf
from fleet.console.documents import (
    AuditPage,
    ChangeAnswer,
    CountAnswer,
    DeviceAnswer,
    DevicePage,
    Me,
    Overview,
    UserAnswer,
)
from fleet.console.views import LONGEST_QUERY
from fleet.inventory.box_state import BoxState
from fleet.store.users import User

router = APIRouter(prefix="/api/v1", responses=ERRORS)

_MOST = 1_000
_DAY = timedelta(days=1)
_LARGEST_ID = 2**63 - 1
_EPOCH_MINUTE_MS = 60_000

Which = Annotated[str, Query(max_length=LONGEST_QUERY, description="Which boxes; empty: all; a word: ids with it.")]
Limit = Annotated[int, Query(ge=1, le=_MOST)]
Device = Annotated[str, Path(pattern=r"^[a-z0-9_-]{1,64}$")]
Camera = Annotated[str | None, Query(pattern=r"^[a-z0-9_-]{1,64}$")]
Minutes = Annotated[int, Query(ge=5, le=1_440, multiple_of=5, description="Minutes that a row is of.")]


class NewUser(BaseModel):
    """A user to add."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: str
    role: Role
    password: str


class UserChange(BaseModel):
    """What of a user is to be another; what is left out stays."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    role: Role | None = None
    disabled: bool | None = None


@router.get("/me", tags=["access"])
def me(visitor: Reader) -> Me:
    """Who asks, and what they may do."""
    return Me(name=visitor.author.who, role=visitor.role, rights=sorted(visitor.rights))


@router.get("/openapi.json", tags=["access"], include_in_schema=False)
def openapi(request: Request, _visitor: Reader) -> dict[str, Any]:
    """This API, described."""
    described: dict[str, Any] = request.app.openapi()
    return described


@router.get("/overview", tags=["devices"])
def overview(console: ConsoleOf, _visitor: Reader, query: Which = "") -> Overview:
    """The fleet, counted by state, hardware class and version."""
    return views.overview(views.chosen(console, query))


@router.get("/devices", tags=["devices"])
def devices(
    console: ConsoleOf,
    _visitor: Reader,
    query: Which = "",
    limit: Limit = 100,
    after: Annotated[str, Query(max_length=64)] = "",
    health: Annotated[BoxState | None, Query(description="Only those that are so.")] = None,
) -> DevicePage:
    """Boxes that a query means, by id."""
    return views.devices(console, query, limit, after, health)


@router.get("/devices/{device}", tags=["devices"])
def device(console: ConsoleOf, _visitor: Reader, device: Device) -> DeviceAnswer:
    """All that is known of a box."""
    return views.device(console, device)


@router.get("/devices/{device}/changes", tags=["devices"])
def changes(console: ConsoleOf, _visitor: Reader, device: Device, limit: Limit = 200) -> list[ChangeAnswer]:
    """What changed of a box, newest first."""
    return views.changes(console, device, limit)


@router.get("/devices/{device}/counts", tags=["devices"])
def counts(
    console: ConsoleOf,
    _visitor: Reader,
    device: Device,
    camera: Camera = None,
    begin: Annotated[AwareDatetime | None, Query(alias="from", description="Default: a day before 'to'.")] = None,
    end: Annotated[AwareDatetime | None, Query(alias="to", description="Default: now.")] = None,
    step: Minutes = 5,
) -> list[CountAnswer]:
    """What a box counted; times without a row were not observed."""
    end_ms = console.now_ms() if end is None else int(end.timestamp() * 1000)
    begin_ms = end_ms - _DAY // timedelta(milliseconds=1) if begin is None else int(begin.timestamp() * 1000)
    found = views.counts(console, device, begin_ms, end_ms, step * _EPOCH_MINUTE_MS, camera)
    return [views.count_answer(one) for one in found]


@router.get("/audit", tags=["audit"])
def audit(
    console: ConsoleOf,
    _visitor: Reader,
    limit: Limit = 100,
    before: Annotated[int | None, Query(ge=0, le=_LARGEST_ID)] = None,
    subject: Annotated[str | None, Query(max_length=160)] = None,
) -> AuditPage:
    """Who changed what, newest first."""
    return views.audit(console, limit, before, subject)


@router.get("/users", tags=["access"])
def users(console: ConsoleOf, _visitor: Admin) -> list[UserAnswer]:
    """Every user."""
    return [_answer(user) for user in console.users.all()]


@router.post("/users", tags=["access"], status_code=201)
def add_user(console: ConsoleOf, visitor: Admin, user: NewUser) -> UserAnswer:
    """Add a user."""
    hashed = console.passwords.hash(user.password[: LONGEST + 1])
    return _answer(console.users.add(user.name, user.role, hashed, visitor.author, console.now_ms()))


@router.patch("/users/{name}", tags=["access"])
def change_user(
    console: ConsoleOf, visitor: Admin, name: Annotated[str, Path(max_length=64)], change: UserChange
) -> UserAnswer:
    """Give a user another role, disable or enable them."""
    return _answer(
        console.users.change(name, visitor.author, console.now_ms(), role=change.role, disabled=change.disabled)
    )


def _answer(user: User) -> UserAnswer:
    return UserAnswer(name=user.name, role=user.role, disabled=user.disabled)
