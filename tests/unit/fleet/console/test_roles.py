"""Every route of the console, each role, and nobody: a new route has to be entered here, with the right it takes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import urlencode

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Mount

from fleet.access.roles import ALLOWED, SCOPES, Role, Scope
from fleet.console.guard import HEADERS
from tests.unit.fleet.console.consoles import PASSWORD, Answer, Client, Rig, rig

Right = Scope | Literal["anybody", "signed in"]

RIGHTS: dict[str, Right] = {
    "GET /api/v1/me": "read",
    "GET /api/v1/openapi.json": "read",
    "GET /api/v1/overview": "read",
    "GET /api/v1/devices": "read",
    "GET /api/v1/devices/{device}": "read",
    "GET /api/v1/devices/{device}/changes": "read",
    "GET /api/v1/devices/{device}/counts": "read",
    "GET /api/v1/devices/{device}/config": "read",
    "GET /api/v1/devices/{device}/wanted": "read",
    "GET /api/v1/audit": "read",
    "GET /api/v1/users": "admin",
    "POST /api/v1/users": "admin",
    "PATCH /api/v1/users/{name}": "admin",
    "GET /api/v1/rollouts": "read",
    "POST /api/v1/rollouts": "rollout",
    "GET /api/v1/rollouts/{number}": "read",
    "GET /api/v1/rollouts/{number}/boxes": "read",
    "POST /api/v1/rollouts/{number}/{action}": "rollout",
    "GET /api/v1/layers": "read",
    "GET /api/v1/layers/{layer:path}": "read",
    "POST /api/v1/layers/{layer:path}/preview": "config",
    "PUT /api/v1/layers/{layer:path}": "config",
    "DELETE /api/v1/layers/{layer:path}": "config",
    "GET /": "read",
    "GET /devices": "read",
    "GET /devices/{device}": "read",
    "GET /audit": "read",
    "GET /api": "read",
    "GET /users": "admin",
    "POST /users/{name}": "admin",
    "GET /account": "read",
    "POST /account/password": "signed in",
    "GET /login": "anybody",
    "POST /login": "anybody",
    "POST /logout": "signed in",
    "GET /rollouts": "read",
    "GET /rollouts/new": "rollout",
    "POST /rollouts": "rollout",
    "GET /rollouts/{number}": "read",
    "GET /rollouts/{number}/boxes": "read",
    "GET /rollouts/{number}/{action}": "rollout",
    "POST /rollouts/{number}/{action}": "rollout",
    "GET /layers": "read",
    "GET /layers/edit": "config",
    "POST /layers/preview": "config",
    "POST /layers/back": "config",
    "POST /layers/apply": "config",
    "GET /layers/remove": "config",
    "POST /layers/remove": "config",
    "GET /layers/{layer:path}": "read",
    "GET /metrics": "read",
    "GET /api/enrol/ca": "anybody",
    "POST /api/enrol": "anybody",
    "POST /api/enrol/renew": "anybody",
}
NAMES: dict[str, Role] = {"vera": "viewer", "otto": "operator", "ada": "admin"}
VALUES = {"{number}": "7", "{action}": "pause", "{layer:path}": "group/a", "{device}": "box-1", "{name}": "nobody"}
_ENDS = frozenset({"POST /logout", "POST /login"})  # the session that asks
FORM = {"old": PASSWORD, "new": "short", "name": "vera", "password": PASSWORD, "layer": "group/a", "revision": "0"}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A console with a user of each role, asked as often as one likes."""
    folder: Path = tmp_path_factory.mktemp("console")
    made = rig(folder, requests=1_000_000, strangers=1_000_000)
    for name, role in NAMES.items():
        made.user(name, role)
    yield made
    made.database.close()


def ask(client: Client, route: str) -> Answer:
    method, _, path = route.partition(" ")
    for name, value in VALUES.items():
        path = path.replace(name, value)
    if method in {"GET", "DELETE"}:
        query = "?revision=0" if method == "DELETE" else "?layer=group/a" if path.startswith("/layers/") else ""
        return client.ask(method, path + query)
    if path.startswith("/api/"):
        document = {"revision": 1, "config": {}, "query": "", "release": "a@1", "name": "", "password": "", "role": ""}
        return client.send(method, path, document)
    form = FORM | {"csrf": client.csrf}
    return client.ask(method, path, urlencode(form).encode(), {"content-type": "application/x-www-form-urlencoded"})


def browser(everything: Rig, name: str) -> Client:
    client = everything.signed_in(name)
    assert client.csrf
    client.headers["x-edgetally-token"] = client.csrf
    return client


def is_refused(answer: Answer) -> bool:
    return answer.status in {401, 403} or (answer.header("location") or "").startswith("/login?")


def has(role: Role, right: Right) -> bool:
    return right in {"anybody", "signed in", *ALLOWED[role]}


def routes_of(routes: Iterable[BaseRoute]) -> Iterator[APIRoute]:
    """All routes, those of included routers among them; nothing that this test does not know may be there."""
    for one in routes:
        included = getattr(one, "original_router", None)
        if included is not None:
            yield from routes_of(included.routes)
        elif isinstance(one, APIRoute):
            yield one
        else:
            assert isinstance(one, Mount)
            assert one.path == "/static"


def test_every_route_is_entered_here(everything: Rig) -> None:
    app = everything.app._app  # type: ignore[attr-defined] # behind the guard
    assert isinstance(app, FastAPI)
    found = {f"{method} {one.path}" for one in routes_of(app.routes) for method in (one.methods or set()) - {"HEAD"}}
    assert found == set(RIGHTS)
    described = browser(everything, "vera").get("/api/v1/openapi.json").json()["paths"]
    api = {f"{method.upper()} {path}" for path, methods in described.items() for method in methods}
    assert api == {one.replace(":path", "") for one in RIGHTS if " /api/v1/" in one and "openapi" not in one}


def test_nobody_gets_what_takes_a_right(everything: Rig) -> None:
    forged = (
        {"cookie": "edgetally_fleet=" + "A" * 43},
        {"authorization": "Bearer edgetally_0a1b2c3d4e5f6071_" + "A" * 43},
    )
    for headers, (route, right) in itertools.product(({}, *forged), RIGHTS.items()):
        answer = ask(Client(everything.app, dict(headers)), route)
        assert is_refused(answer) is (right != "anybody"), (route, answer.status, answer.text[:300])


@pytest.mark.parametrize("name", NAMES)
def test_a_role_gets_what_it_has_the_right_to_and_nothing_else(everything: Rig, name: str) -> None:
    client = browser(everything, name)
    for route, right in RIGHTS.items():
        answer = ask(browser(everything, name) if route in _ENDS else client, route)
        assert is_refused(answer) is not has(NAMES[name], right), (route, answer.status, answer.text[:300])
        assert answer.status < 500, (route, answer.text)
        headers = dict(answer.headers)
        assert {key.lower(): value for key, value in HEADERS}.items() <= headers.items(), route
        assert headers["cache-control"] == "no-store", route


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scope", SCOPES)
def test_a_token_gets_what_both_its_scope_and_its_users_role_have_the_right_to(
    everything: Rig, name: str, scope: Scope
) -> None:
    program = everything.token(name, scope)
    for route, right in RIGHTS.items():
        if right in SCOPES:
            answer = ask(program, route)
            may = right == scope and has(NAMES[name], scope)
            assert is_refused(answer) is not may, (route, answer.status, answer.text[:300])


def test_no_change_is_made_without_the_sessions_own_token(everything: Rig) -> None:
    client = browser(everything, "ada")
    for forged, route in itertools.product(("", browser(everything, "ada").csrf), RIGHTS):
        if route.startswith("GET ") or RIGHTS[route] == "anybody":
            continue
        client.csrf, client.headers = forged, {"x-edgetally-token": forged} if forged else {}
        answer = ask(client, route)
        assert answer.status == 403, (route, answer.status, answer.text[:300])
        assert "token" in answer.text, route
