"""Reads the page of a box, as anybody could: for the terminal view."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import ValidationError

from agent.page.ports import AgentState
from contracts.config import PageConfig
from contracts.errors import TransportError, WrittenError

_TIMEOUT = 5.0  # seconds
_LARGEST = 4 * 1024 * 1024  # bytes of a state; a box of 64 cameras needs a tenth


@dataclass(frozen=True)
class PageAddress:
    """Where a page is, and what opens it.

    Args:
        url: ``http://HOST:PORT`` or ``https://HOST:PORT``.
        password: of the page; None where it has none.
        certificate: PEM file that its certificate is checked against; None for the system's.
    """

    url: str
    password: str | None = None
    certificate: str | None = None

    @classmethod
    def of(cls, config: PageConfig) -> PageAddress:
        """The page of this box, seen from this box."""
        host, port = config.listens
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - where it listens on all
        host = f"[{host}]" if ":" in host else host
        password = config.password.get_secret_value() if config.password else None
        return cls(f"{'https' if config.certificate else 'http'}://{host}:{port}", password, config.certificate)


def read_state(page: PageAddress) -> AgentState:
    """How the agent is.

    Raises:
        WrittenError: the URL is none.
        TransportError: nobody answers there, or something else than our page.
    """
    status, body = _get(page, "/api/state")
    if status != http.client.OK:
        raise TransportError(f"page {page.url}: {_said(status, body)}")
    try:
        return AgentState.model_validate_json(body)
    except ValidationError as error:
        problem = f"expected an agent's state, got something else ({error.error_count()} problems)"
        raise TransportError(f"page {page.url}: {problem}; check that it is the page of an agent") from None


def _get(page: PageAddress, path: str) -> tuple[int, bytes]:
    connection = _connection(page)
    headers = {"Authorization": f"Bearer {page.password}"} if page.password is not None else {}
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read(_LARGEST)
    except (OSError, http.client.HTTPException) as error:
        problem = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise TransportError(
            f"page {page.url}: {problem}; is the agent running, and has its agent.toml a [page] table?"
        ) from None
    finally:
        connection.close()


def _connection(page: PageAddress) -> http.client.HTTPConnection:
    try:
        parts = urlsplit(page.url)
        host, port, scheme = parts.hostname, parts.port, parts.scheme
    except ValueError:
        host = port = scheme = None
    if not host or scheme not in {"http", "https"}:
        raise WrittenError(f"--url should be http://HOST:PORT or https://HOST:PORT, got {page.url!r}")
    if scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=_TIMEOUT)
    try:
        trust = ssl.create_default_context(cafile=page.certificate)
    except OSError as error:
        problem = f"the certificate {page.certificate} cannot be read: {error.strerror or error}"
        raise WrittenError(f"{problem}; check 'page.certificate' of agent.toml") from error
    return http.client.HTTPSConnection(host, port, timeout=_TIMEOUT, context=trust)


def _said(status: int, body: bytes) -> str:
    try:
        text = str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError, RecursionError):
        text = "expected an agent's page, got something else; check the address"
    return f"{text[:500]} (HTTP {status})"
