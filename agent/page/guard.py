"""Who is let in: hosts, origins, sessions and tokens. No page of another site can ask, read or change anything."""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
import secrets
import socket
from collections.abc import Mapping

from aiohttp import web

from agent.page.sessions import Sessions, Throttle
from contracts.config import PageConfig

COOKIE = "edgetally_session"
CSRF_HEADER = "X-Edgetally-Token"
_BEARER = "Bearer "
_OPEN_PATHS = frozenset({"/", "/healthz", "/api/session", "/api/login"})
_OPEN_PREFIX = "/assets/"

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
"""Of every answer."""


class Refused(Exception):  # noqa: N818 - it is an answer, not a fault
    """A request that is not answered as asked.

    Args:
        status: of HTTP.
        why: a sentence.
        wait: seconds after which it may be tried again.
    """

    def __init__(self, status: int, why: str, wait: float = 0.0) -> None:
        self.status = status
        self.wait = wait
        super().__init__(why)


class Guard:
    """Looks at every request before anything is done.

    Args:
        config: of the page.
        sessions: those that are open.
    """

    def __init__(self, config: PageConfig, sessions: Sessions) -> None:
        name = socket.gethostname().lower()
        self._hosts = {"localhost", name, f"{name}.local", *(host.lower() for host in config.hosts)}
        self._secure = config.certificate is not None
        self.sessions = sessions
        self.throttle = Throttle()
        self.token = secrets.token_urlsafe(24)
        """What a change must carry where it is not made with the password itself; only our own page can read it."""

    def check(self, request: web.Request) -> None:
        """Let a request pass.

        Raises:
            Refused: it may not.
        """
        self._check_host(request)
        if request.headers.get("Sec-Fetch-Site", "none") in {"cross-site", "same-site"} and request.path != "/":
            raise Refused(403, "asked by another site; open the page itself")
        by_password = self._has_password(request)
        is_open = request.path in _OPEN_PATHS or request.path.startswith(_OPEN_PREFIX)
        if not (by_password or is_open or self.knows(request)):
            raise Refused(401, "sign in, or send the password as 'Authorization: Bearer PASSWORD'")
        if request.method not in {"GET", "HEAD"} and not by_password:
            self._check_change(request)

    def knows(self, request: web.Request) -> bool:
        """Whether who asks may see everything."""
        if not self.sessions.needs_password or self.sessions.holds(request.cookies.get(COOKIE)):
            return True
        given = request.headers.get("Authorization", "")
        return given.startswith(_BEARER) and self.sessions.is_password(given.removeprefix(_BEARER))

    def sign_in(self, peer: str, password: str) -> str:
        """Open a session; returns its token.

        Args:
            peer: who asks.
            password: what was given.

        Raises:
            Refused: it is wrong, or wrong ones came too often.
        """
        self._check_guesses(peer)
        if not self.sessions.is_password(password):
            self.throttle.wrong(peer)
            raise Refused(403, "the password is wrong; it is 'page.password' of agent.toml")
        return self.sessions.open()

    def set_cookie(self, response: web.StreamResponse, token: str) -> None:
        """Hand a session's token over."""
        response.set_cookie(COOKIE, token, httponly=True, samesite="Strict", secure=self._secure, path="/")

    def _has_password(self, request: web.Request) -> bool:
        given = request.headers.get("Authorization", "")
        if not given.startswith(_BEARER) or not self.sessions.needs_password:
            return False
        peer = peer_of(request)
        self._check_guesses(peer)
        if not self.sessions.is_password(given.removeprefix(_BEARER)):
            self.throttle.wrong(peer)
            raise Refused(401, "the password is wrong; it is 'page.password' of agent.toml")
        return True

    def _check_guesses(self, peer: str) -> None:
        wait = self.throttle.wait(peer)
        if wait > 0:
            raise Refused(429, f"too many wrong passwords; try again in {wait:.0f} s", wait)

    def _check_host(self, request: web.Request) -> None:
        """A name that is not ours may have been pointed at us (DNS rebinding); an address cannot be."""
        host = _name_of(request.headers.get("Host", ""))
        with contextlib.suppress(ValueError):
            ipaddress.ip_address(host)
            return
        if host not in self._hosts:
            raise Refused(403, f"this box is not called {host[:100]!r}; add the name to 'page.hosts' of agent.toml")

    def _check_change(self, request: web.Request) -> None:
        origin = request.headers.get("Origin")
        scheme = "https" if self._secure else "http"
        if origin is not None and origin.lower() != f"{scheme}://{request.headers.get('Host', '').lower()}":
            raise Refused(403, "a change must come from this page")
        if request.content_type != "application/json":
            raise Refused(415, "expected Content-Type: application/json")
        given = request.headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            raise Refused(403, f"expected the page's own token in {CSRF_HEADER}; reload the page")


def peer_of(request: web.Request) -> str:
    """The address that asks, without its port."""
    return request.remote or ""


def _name_of(host: str) -> str:
    """The host of a Host header, without its port and brackets, in lower case."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() and ":" in host else host
    return name.strip("[]").lower().removesuffix(".")
