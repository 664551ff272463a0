"""Who asks, and what they may do: one place for pages and API."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request

from fleet.access.roles import ALLOWED, Scope
from fleet.access.visitor import Visitor
from fleet.console.console import Console, ConsoleOf
from fleet.console.errors import Refused
from fleet.console.limits import network
from fleet.console.settings import REFRESH_HEADER
from fleet.inventory.reading import clean
from fleet.store.audit import Author
from fleet.store.sessions import SessionRefused

CSRF_FIELD = "csrf"
CSRF_HEADER = "x-edgetally-token"
_BEARER = "bearer "
_SAFE = frozenset({"GET", "HEAD"})
_MOST_FIELDS = 64


def address_of(request: Request) -> str:
    """Where a request comes from."""
    return clean(request.client.host)[:64] if request.client else "somewhere"


async def csrf_of(request: Request) -> str | None:
    """What a change carries against forged requests."""
    if request.method in _SAFE:
        return None
    header = request.headers.get(CSRF_HEADER)
    if header is not None or "form" not in request.headers.get("content-type", ""):
        return header
    form = await request.form(max_files=0, max_fields=_MOST_FIELDS)
    value = form.get(CSRF_FIELD)
    return value if isinstance(value, str) else None


def visitor_of(request: Request, console: ConsoleOf, csrf: Annotated[str | None, Depends(csrf_of)]) -> Visitor:
    """Who asks; whoever may change something has shown that they mean to.

    Raises:
        Refused: nobody who is known, too often, or a change that anybody could have sent in their name.
    """
    given = request.headers.get("authorization")
    visitor = _session(request, console) if given is None else _bearer(given, request, console)
    wait = console.requests.take(visitor.key)
    if wait:
        console.refuse("rate", "%s asks too often; wait %.0f s", visitor.author.who, wait)
        raise Refused(429, "too_many_requests", f"too many requests; try again in {wait:.0f} s", wait=wait)
    if visitor.session is not None and request.method not in _SAFE:
        _check_csrf(visitor, csrf, console)
    return visitor


VisitorOf = Annotated[Visitor, Depends(visitor_of)]


def may(scope: Scope) -> Callable[[ConsoleOf, VisitorOf], Visitor]:
    """A dependency that lets only those through who have a right."""

    def check(console: ConsoleOf, visitor: VisitorOf) -> Visitor:
        if scope not in visitor.rights:
            console.refuse("right", "%s lacks the right '%s'", visitor.author.who, scope)
            has = ", ".join(sorted(visitor.rights)) or "none"
            message = f"this takes the right '{scope}'; {visitor.author.who} has here: {has}"
            raise Refused(403, "forbidden", message, {"expected": scope})
        return visitor

    return check


Reader = Annotated[Visitor, Depends(may("read"))]
Admin = Annotated[Visitor, Depends(may("admin"))]
Roller = Annotated[Visitor, Depends(may("rollout"))]
Configurer = Annotated[Visitor, Depends(may("config"))]


def stranger(request: Request, console: Console) -> None:
    """Count a request of somebody who is not signed in.

    Raises:
        Refused: they ask too often.
    """
    wait = console.strangers.take(network(address_of(request)))
    if wait:
        console.refuse("rate", "%s asks too often without signing in", address_of(request))
        raise Refused(429, "too_many_requests", f"too many requests; try again in {wait:.0f} s", wait=wait)


def _session(request: Request, console: Console) -> Visitor:
    token = request.cookies.get(console.settings.cookie)
    if token is None:
        stranger(request, console)
        raise Refused(401, "unauthenticated", "sign in, or send 'Authorization: Bearer TOKEN'")
    used = REFRESH_HEADER not in request.headers
    try:
        session = console.sessions.find(token, console.now_ms(), used=used)
    except SessionRefused as refusal:
        stranger(request, console)
        whose = f" of {refusal.name}" if refusal.name else ""
        console.refuse("session", "a session%s from %s is refused: %s", whose, address_of(request), refusal.reason)
        message = "the session is over or was never opened; sign in again"
        raise Refused(401, "session", message) from refusal
    author = Author(session.name, "api" if request.url.path.startswith("/api/") else "console")
    return Visitor(author, session.role, ALLOWED[session.role], session.csrf, f"session {session.csrf}")


def _bearer(given: str, request: Request, console: Console) -> Visitor:
    if not given.lower().startswith(_BEARER):
        stranger(request, console)
        raise Refused(401, "unauthenticated", "expected 'Authorization: Bearer TOKEN'")
    bearer = console.tokens.bearer(given[len(_BEARER) :].strip(), console.now_ms())
    if bearer is None:
        stranger(request, console)
        console.refuse("token", "a token from %s is refused", address_of(request))
        raise Refused(401, "token", "the token is unknown, revoked or expired, or its user is disabled")
    return Visitor(Author(bearer.name, "api"), bearer.role, bearer.rights, None, f"token {bearer.id}")


def _check_csrf(visitor: Visitor, csrf: str | None, console: Console) -> None:
    expected = (visitor.session or "").encode()
    if csrf is None or not hmac.compare_digest(csrf.encode("utf-8", "surrogatepass"), expected):
        console.refuse("csrf", "a change in the name of %s lacks the session's own token", visitor.author.who)
        raise Refused(403, "csrf", f"a change needs the session's own token ('{CSRF_FIELD}', {CSRF_HEADER}); reload")
