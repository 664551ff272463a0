"""One HTTP request to a camera that may be broken or hostile: everything that it sends has a limit in size and time.

FFmpeg reads MJPEG too, but takes a part of any size: its memory grew from 71 to 2074 MB in 5 s of one endless picture
(docs/adr/0005-decoder.md).
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
import time
from base64 import b64encode
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import quote, unquote, urljoin, urlsplit
from urllib.request import AbstractDigestAuthHandler, HTTPPasswordMgr, Request, parse_http_list, parse_keqv_list

from agent.cameras.faults import network_fault, refusal
from contracts.addresses import scheme_of, shown
from contracts.config import CameraConfig
from contracts.errors import CameraError

_SLICE = 0.25  # seconds between two looks at the stop event and the deadline
_MOST_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_WAITING = 1 << 20  # bytes that the system keeps of a stream; more would only be older pictures
_SAFE = "%/:=&?~+!$,;'@()*[]-._"  # of a path and query, what is sent as it is written


class StoppedError(Exception):
    """It was told to stop while it waited."""


@dataclass(frozen=True)
class _Address:
    """Where a request goes; its user and password are not part of what is shown of it."""

    scheme: str
    host: str
    port: int
    path: str = field(repr=False)
    user: str | None = field(default=None, repr=False)
    password: str = field(default="", repr=False)

    @property
    def server(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"http": 80, "https": 443}[self.scheme]
        return host if self.port == usual else f"{host}:{self.port}"


class WebStream:
    """The answer to a request: its kind and its body, read with a deadline.

    Args:
        response: whose header was read.
        raw: what it reads from.
    """

    def __init__(self, response: http.client.HTTPResponse, raw: _PatientSocket) -> None:
        self._response = response
        self._raw = raw
        self.content_type = response.headers.get_content_type()
        boundary = response.headers.get_param("boundary")
        self.boundary = boundary if isinstance(boundary, str) else ""

    def within(self, seconds: float) -> None:
        """What is read from now on has to come within so many seconds."""
        self._raw.deadline = time.monotonic() + seconds

    def line(self, most: int) -> bytes:
        """The next line or so many bytes of it; empty at the end."""
        return self._response.readline(most)

    def exactly(self, count: int) -> bytes:
        """So many bytes, fewer at the end."""
        return self._response.read(count)

    def close(self) -> None:
        """Let go of it; twice is harmless."""
        self._response.close()
        self._raw.end()


class _PatientSocket(io.RawIOBase):
    """A socket that is waited for until a deadline or a stop, whichever is first, however slowly it drips."""

    def __init__(self, connection: socket.socket, stop: threading.Event, deadline: float) -> None:
        self._connection = connection
        self._stop = stop
        self.deadline = deadline

    def makefile(self, mode: str) -> io.BufferedReader:
        """What `http.client` asks a socket for."""
        del mode  # always "rb"
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        """Some bytes.

        Raises:
            StoppedError: told to stop.
            TimeoutError: the deadline has passed.
        """
        while not self._stop.is_set():
            if time.monotonic() > self.deadline:
                raise TimeoutError
            try:
                return self._connection.recv_into(cast("memoryview", buffer))
            except TimeoutError:
                continue
        raise StoppedError

    def end(self) -> None:
        """Close the socket itself, which `http.client` would leave open."""
        self._connection.close()


def request(camera: CameraConfig, stop: threading.Event, seconds: float) -> WebStream:
    """Ask for the camera's source; follows redirects to HTTP only, and answers a demand for a password.

    Args:
        camera: its source is an ``http://`` or ``https://`` URL.
        stop: ends the wait for the answer.
        seconds: for all of it, looking up the host's name aside.

    Raises:
        CameraError: no answer, or none that can be used.
        StoppedError: told to stop.
    """
    where = shown(camera.source)
    address = _parse(camera, camera.source)
    deadline = time.monotonic() + seconds
    authorization: str | None = None
    for _ in range(_MOST_REDIRECTS + 2):
        try:
            response, raw = _ask(address, authorization, stop, deadline)
        except (OSError, http.client.HTTPException) as error:
            raise network_fault(camera.id, where, error) from None
        if response.status == http.client.OK:
            return WebStream(response, raw)
        raw.end()
        if response.status == http.client.UNAUTHORIZED and address.user is not None and authorization is None:
            authorization = _authorization(address, response.headers.get_all("WWW-Authenticate", []))
            if authorization is not None:
                continue
        if response.status not in _REDIRECTS:
            raise refusal(camera.id, where, response.status)
        address, authorization = _redirected(camera, address, response.headers.get("Location", "")), None
    raise CameraError(camera.id, f"{where}: it redirects again and again", "check the path in 'source'")


def _ask(
    address: _Address, authorization: str | None, stop: threading.Event, deadline: float
) -> tuple[http.client.HTTPResponse, _PatientSocket]:
    connection = socket.create_connection((address.host, address.port), max(0.1, deadline - time.monotonic()))
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WAITING)
        if address.scheme == "https":
            connection = _encrypted(connection, address.host)
        lines = [f"GET {address.path} HTTP/1.1", f"Host: {address.host_header}", "User-Agent: edgetally", "Accept: */*"]
        lines += [f"Authorization: {authorization}"] if authorization else []
        connection.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        connection.settimeout(_SLICE)
        raw = _PatientSocket(connection, stop, deadline)
        response = http.client.HTTPResponse(cast("socket.socket", raw), method="GET")
        response.begin()
    except BaseException:
        connection.close()
        raise
    return response, raw


def _encrypted(connection: socket.socket, host: str) -> ssl.SSLSocket:
    """TLS without a look at the certificate, as FFmpeg does it for ``rtsps://``: cameras sign their own."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connection, server_hostname=host)


def _parse(camera: CameraConfig, url: str) -> _Address:
    """The address in a URL, whose password need not be escaped.

    Raises:
        CameraError: there is no host in it.
    """
    scheme = scheme_of(url)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if scheme not in {"http", "https"} or not host or "@" in parts.path:
        problem = f"{shown(camera.source)}: it is no address of a web camera"
        raise CameraError(camera.id, problem, "check 'source'; escape what a password holds")
    path = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=_SAFE)
    user = None if parts.username is None else unquote(parts.username)
    return _Address(scheme, host, port or {"http": 80, "https": 443}[scheme], path, user, unquote(parts.password or ""))


def _redirected(camera: CameraConfig, address: _Address, location: str) -> _Address:
    """Where a redirect leads; the password goes along only to the same server."""
    base = f"{address.scheme}://{address.host_header}{address.path}"
    try:
        target = urljoin(base, location)
    except ValueError:
        target = ""
    if scheme_of(target) not in {"http", "https"} or not location:
        problem = f"{shown(camera.source)}: it redirects to what is no web address"
        raise CameraError(camera.id, problem, "check the camera")
    to = _parse(camera, target)
    same = to.server == address.server
    return _Address(*to.server, to.path, address.user if same else None, address.password if same else "")


def _authorization(address: _Address, challenges: list[str]) -> str | None:
    """The answer to a demand for a password, by digest where the camera takes that; None where it takes neither."""
    for challenge in sorted(challenges, key=lambda text: not text.lower().startswith("digest")):
        kind, _, rest = challenge.strip().partition(" ")
        if kind.lower() == "basic":
            return "Basic " + b64encode(f"{address.user}:{address.password}".encode()).decode()
        if kind.lower() == "digest" and (answer := _digest(address, rest)) is not None:
            return f"Digest {answer}"
    return None


def _digest(address: _Address, challenge: str) -> str | None:
    """RFC 7616's answer as Python's library computes it; None for an algorithm that it lacks."""
    url = f"{address.scheme}://{address.host_header}{address.path}"
    passwords = HTTPPasswordMgr()
    try:
        demanded = parse_keqv_list([item for item in parse_http_list(challenge) if "=" in item])
        passwords.add_password(cast("str", demanded.get("realm")), url, address.user or "", address.password)
        asked = Request(url)  # noqa: S310 - nothing is opened, and the scheme is http or https
        return AbstractDigestAuthHandler(passwords).get_authorization(asked, demanded)
    except (ValueError, OSError, KeyError):
        return None
