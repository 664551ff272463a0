"""The console as an application: its routes, and what is answered where something goes wrong."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from contracts.errors import EdgetallyError
from contracts.version import VERSION
from fleet.access.passwords import BusyError
from fleet.console import api, enrol_api, layer_api, layer_pages, pages, rollout_api, rollout_pages
from fleet.console.access import VisitorOf, visitor_of
from fleet.console.console import Console, ConsoleOf
from fleet.console.errors import Refused, refused, wants_json
from fleet.console.guard import Guard
from fleet.console.metrics import exposition
from fleet.console.settings import REFRESH_HEADER
from fleet.console.templating import error_page
from fleet.inventory.reading import clean
from fleet.store.errors import DatabaseError
from runtime.prometheus import CONTENT_TYPE

_log = logging.getLogger(__name__)

FIRST_USER = "nobody may use this console yet; on its machine: edgetally-fleet user add NAME --role admin"
"""All that is served until there is a user."""


def application(console: Console) -> ASGIApp:
    """The console, guarded."""
    app = FastAPI(
        title="edgetally-fleet",
        version=VERSION,
        description="Boxes, what they count, and who changed what. Send `Authorization: Bearer TOKEN`.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # It would tell of requests to whom an environment variable names (docs/adr/0003-no-telemetry.md).
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.console = console
    for each in (api, enrol_api, rollout_api, layer_api, pages, rollout_pages, layer_pages):
        app.include_router(each.router)
    app.add_api_route("/metrics", metrics, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))
    app.middleware("http")(_wait_for_a_user)
    for kind in (EdgetallyError, Refused, BusyError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, _answer)
    return Guard(app, console.settings)


def metrics(request: Request, console: ConsoleOf) -> Response:
    """For Prometheus."""
    if not console.settings.metrics_open:
        visitor: VisitorOf = visitor_of(request, console, None)
        if "read" not in visitor.rights:
            raise Refused(403, "forbidden", "this takes the right 'read'", {"expected": "read"})
    return Response(exposition(console), media_type=CONTENT_TYPE)


async def _wait_for_a_user(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    console: Console = request.app.state.console
    try:
        someone = await run_in_threadpool(console.has_users)
    except DatabaseError as error:
        return _answer(request, error)
    if someone:
        return await call_next(request)
    if wants_json(request):
        return JSONResponse({"error": "no_user", "message": FIRST_USER}, 503)
    return PlainTextResponse(f"{FIRST_USER}\n", 503)


def _answer(request: Request, error: Exception) -> Response:
    refusal = refused(error)
    if isinstance(error, DatabaseError):
        _log.error("%s %s: %s", request.method, clean(request.url.path), error)
    elif refusal.status == 500 and not isinstance(error, HTTPException):  # noqa: PLR2004
        _log.error("%s %s broke", request.method, clean(request.url.path), exc_info=error)
    if wants_json(request) or request.url.path == "/metrics":
        return JSONResponse(refusal.document, refusal.status, refusal.headers)
    if refusal.status == 401 and request.method == "GET" and REFRESH_HEADER not in request.headers:  # noqa: PLR2004
        return pages.to_login(request)
    return error_page(request, refusal)
