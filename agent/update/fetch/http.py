"""A repository on web servers: mirrors, ranges, redirects; what comes is checked before a byte of it is used."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote

from agent.update.errors import WrongAnswerError
from agent.update.fetch import redirects
from agent.update.fetch.answers import OK, PARTIAL, Answer, AnswerError, etag_for, read_answer, tag_of
from agent.update.fetch.mirrors import Mirrors
from agent.update.fetch.paths import parts_of
from agent.update.fetch.web import NO_ANSWER, Limits, Web, no_answer
from agent.update.ports import Reply
from contracts.documents import without_credentials
from contracts.errors import NotThereError, ServerError
from contracts.update_config import UpdateConfig

if TYPE_CHECKING:
    import urllib3

_CHUNK = 65_536  # bytes at most that are read at once
_NOT_THERE = frozenset({404, 410})
_BEYOND_THE_END = 416
_FORBIDDEN = 403
_SENT_AWAY = {401: "give the box a certificate, or let it in"}


class HttpTransport:
    """Reads files from the first mirror that has them; those that failed are asked last for a while.

    A file is asked for from an offset (``Range``) with ``If-Range`` where the same server gave a strong ETag for what
    was begun. Without one, or from another mirror, the rest is asked for all the same: a blob's name is its digest, so
    a part of something else is found out at the end, and a box on a poor link would otherwise never have a whole file
    from mirrors that give none.

    Args:
        config: whose ``server``, ``ca``, ``certificate`` and ``key`` are used.
        limits: how long a server may take.
        clock: seconds, monotonic.
        chance: gives numbers in 0 to 1.
    """

    def __init__(
        self,
        config: UpdateConfig,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._limits = limits or Limits()
        self._web = Web(config, self._limits)
        self._mirrors = Mirrors(config.server, clock, chance)
        self._clock = clock

    def open(self, path: str, start: int = 0, tag: str | None = None) -> Reply:
        """Begin to read a file; see `agent.update.ports.Transport`."""
        name = "/".join(quote(part, safe="") for part in parts_of(path))
        errors: list[ServerError] = []
        for base in self._mirrors.order():
            found = self._try(base, name, start, tag)
            if isinstance(found, Reply):
                return found
            errors.append(found)
        raise _all(errors)

    def _try(self, base: str, name: str, start: int, tag: str | None) -> Reply | ServerError:
        try:
            return self._reply(base, name, start, tag)
        except ServerError as error:
            if not isinstance(error, NotThereError):  # that is no failure: a mirror may be behind for a while
                self._mirrors.failed(base)
            return error

    def _reply(self, base: str, name: str, start: int, tag: str | None) -> Reply:
        url = f"{base}/{name}"
        etag = etag_for(base, tag)
        response, answer = self._ask(url, start, etag)
        if etag is not None and answer.start > 0 and answer.etag not in {None, etag}:
            response.close()  # it does not know If-Range, and would mix two contents
            response, answer = self._ask(url, 0, None)
        body = self._body(base, url, response, answer)
        return Reply(
            answer.start,
            answer.size,
            tag_of(base, answer.etag),
            body,
            response.close,
            lambda: self._mirrors.failed(base),
        )

    def _ask(self, url: str, start: int, etag: str | None) -> tuple[urllib3.BaseHTTPResponse, Answer]:
        headers = {"Range": f"bytes={start}-"} if start else {}
        if start and etag is not None:
            headers["If-Range"] = etag
        response = self._follow(url, headers)
        if response.status == _BEYOND_THE_END and start:
            response.close()  # what was begun is longer than what is there
            return self._ask(url, 0, None)
        if response.status not in {OK, PARTIAL}:
            response.close()
            raise _status_error(url, response.status)
        try:
            return response, read_answer(response.status, response.headers, start)
        except AnswerError as error:
            response.close()
            raise _wrong(url, error) from error

    def _follow(self, url: str, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
        """The answer of who has the file in the end."""
        there = url
        try:
            for _ in range(redirects.MOST + 1):
                ours = redirects.origin(there) == redirects.origin(url)
                response = self._web.get(there, headers, identify=ours)
                if response.status not in redirects.STATUSES:
                    return response
                response.close()
                there = redirects.follow(there, response.headers.get("Location"))
        except AnswerError as error:
            raise _wrong(url, error) from error
        raise _wrong(url, f"expected at most {redirects.MOST} redirects in a row, got more")

    def _body(self, base: str, url: str, response: urllib3.BaseHTTPResponse, answer: Answer) -> Iterator[bytes]:
        """The bytes as they come, at least as fast as `Limits` say, and not one more than was promised."""
        try:
            yield from self._checked(url, response, answer)
        except ServerError:
            self._mirrors.failed(base)
            raise
        self._mirrors.did_well(base)

    def _checked(self, url: str, response: urllib3.BaseHTTPResponse, answer: Answer) -> Iterator[bytes]:
        pace = _Pace(self._limits, self._clock)
        came = 0
        while chunk := pace.time(lambda: _read(url, response)):
            if pace.too_slow:
                raise _wrong(url, f"expected bytes, got hardly any in {self._limits.slow_seconds:.0f} s")
            came += len(chunk)
            if answer.length is not None and came > answer.length:
                raise _wrong(url, f"expected {answer.length} bytes, got more")
            yield chunk
        if answer.length is not None and came < answer.length:
            raise ServerError(without_credentials(url), f"the connection ended after {came} bytes", _AGAIN)


class _Pace:
    """Notices a server that gives so little that it is no better than one that gives nothing."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._waited = 0.0
        self._came = 0
        self.too_slow = False

    def time(self, read: Callable[[], bytes]) -> bytes:
        """Read, and count only the time that this took: a box that writes slowly is not the server's fault."""
        since = self._clock()
        chunk = read()
        self._waited += self._clock() - since
        self._came += len(chunk)
        if self._waited >= self._limits.slow_seconds:
            self.too_slow = self._came < self._limits.slow_bytes
            self._waited, self._came = 0.0, 0
        return chunk


_AGAIN = "nothing to do: it is gone on with later"


def _read(url: str, response: urllib3.BaseHTTPResponse) -> bytes:
    from urllib3.exceptions import HTTPError

    try:
        return response.read1(_CHUNK, decode_content=False) or b""
    except (*NO_ANSWER, HTTPError) as error:
        with contextlib.suppress(Exception):
            response.close()
        raise no_answer(url, error) from error


def _status_error(url: str, status: int) -> ServerError:
    where = without_credentials(url)
    if status == _FORBIDDEN:  # what S3 says of a file that is not there to who may not list
        return NotThereError(
            where, "it is not there, or this box may not have it (HTTP 403)", "publish it, or let the box in"
        )
    if status in _NOT_THERE:
        return NotThereError(where, f"it is not there (HTTP {status})", "publish it to every mirror")
    do = _SENT_AWAY.get(status, "look into its log")
    return WrongAnswerError(where, f"expected the file, got HTTP {status}", do)


def _wrong(url: str, error: AnswerError | str) -> WrongAnswerError:
    return WrongAnswerError(
        without_credentials(url), str(error), "look at what answers there: the server, a proxy or a log-in page"
    )


def _all(errors: list[ServerError]) -> ServerError:
    """One error for what every mirror said."""
    if not errors:
        return ServerError("no server", "none is set", "set `server` in [update] of agent.toml")
    if len(errors) == 1:
        return errors[0]
    kind: type[ServerError] = ServerError
    for one in (NotThereError, WrongAnswerError):
        if any(isinstance(error, one) for error in errors):
            kind = one
            break
    problem = "; ".join(f"{error.where}: {error.problem}" for error in errors)
    return kind("no mirror has it", problem, "check them, and the network")
