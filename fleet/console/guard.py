"""What every request has to pass before anything looks at it, and what every answer carries."""

from __future__ import annotations

import ipaddress
import json
import logging
import socket
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fleet.console.errors import Refused
from fleet.console.settings import LARGEST_BODY, ConsoleSettings
from fleet.inventory.reading import clean

_log = logging.getLogger(__name__)

HEADERS: tuple[tuple[str, str], ...] = (
    (
        "Content-Security-Policy",
        (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ),
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    # Not no-referrer: a browser then says "Origin: null" of our own forms, which could be anybody's.
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), microphone=(), geolocation=()"),
)
_HSTS = ("Strict-Transport-Security", "max-age=31536000")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_SITES = frozenset({"same-origin", "none"})


class Guard:
    """Checks Host, Origin and size; the outermost layer, so that no answer is without its headers.

    Args:
        app: what is guarded.
        settings: of the console.
    """

    def __init__(self, app: ASGIApp, settings: ConsoleSettings) -> None:
        name = socket.gethostname().lower()
        self._app = app
        self._settings = settings
        self._hosts = {"localhost", name, f"{name}.local", *settings.hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answering = _Answering(send, self._headers(scope))
        headers = Headers(scope=scope)
        try:
            self._check(scope["method"], headers)
        except Refused as refusal:
            client = scope.get("client") or ("somewhere",)
            _log.warning("%s is refused: %s", client[0], refusal.message)
            await answering.refuse(refusal)
            return
        await self._app(scope, _Limited(receive), answering)

    def _headers(self, scope: Scope) -> Iterable[tuple[str, str]]:
        yield from HEADERS
        if self._settings.https:
            yield _HSTS
        if not scope["path"].startswith("/static/"):
            yield "Cache-Control", "no-store"

    def _check(self, method: str, headers: Headers) -> None:
        host = _name_of(headers.get("host", ""))
        if not (_is_address(host) or host in self._hosts):
            # A name that is not ours may have been pointed at us (DNS rebinding); an address cannot be.
            shown = clean(host[:100])
            raise Refused(421, "host", f"this console is not called {shown!r}; start it with --host {shown}")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > LARGEST_BODY:
            raise Refused(413, "too_large", f"expected at most {LARGEST_BODY} bytes")
        if method in _SAFE or "authorization" in headers:  # no browser sends that by itself
            return
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site is not None and site not in _SITES:
            raise Refused(403, "cross_site", "another site asked for a change; open the console itself")
        expected = f"{self._settings.scheme}://{headers.get('host', '').lower()}"
        if origin is not None and origin.lower() != expected:
            raise Refused(403, "cross_site", f"a change should come from {expected}, this one from {clean(origin)!r}")


class _Answering:
    """Sends an answer on, with the headers that each has."""

    def __init__(self, send: Send, headers: Iterable[tuple[str, str]]) -> None:
        self._send = send
        self._headers = tuple(headers)

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in self._headers:
                headers[name] = value
        await self._send(message)

    async def refuse(self, refusal: Refused) -> None:
        body = json.dumps(refusal.document).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await self({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await self({"type": "http.response.body", "body": body})


class _Limited:
    """Receives a body that may not say how long it is."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._size = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._size += len(message.get("body", b""))
        if self._size > LARGEST_BODY:
            raise Refused(413, "too_large", f"expected at most {LARGEST_BODY} bytes")
        return message


def _name_of(host: str) -> str:
    """The host of a Host header, without its port and brackets, in lower case."""
    name, colon, port = host.rpartition(":")
    if not colon or not port.isdecimal() or (":" in name and not name.endswith("]")):
        name = host
    return name.strip("[]").lower().removesuffix(".")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
