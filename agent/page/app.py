"""What the page answers: its files, the state, pictures, changes, metrics and health."""

from __future__ import annotations

import asyncio
import contextlib
import json
import mimetypes
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from pathlib import Path

from aiohttp import web

from agent.page.draw import PALETTE
from agent.page.freshness import Verdict, judge
from agent.page.guard import COOKIE, HEADERS, Guard, Refused, peer_of
from agent.page.logs import LogRing
from agent.page.ports import CameraProposal, Ports, ProposalOutcome
from agent.page.sessions import Sessions
from agent.page.studio import Studio
from agent.page.watch import Seen, SilentAgentError, Watch
from contracts.config import PageConfig
from contracts.documents import read_document
from contracts.errors import DocumentError

LARGEST_BODY = 64 * 1024  # bytes; 64 zones of 64 corners, and more
_STATIC = Path(__file__).with_name("static")
_ANSWER_SECONDS = 20.0  # to read a body, answer, and hand the answer over
_WRITE_SECONDS = 10.0  # that a watcher may leave what it is sent unread
_LONGEST_NUMBER = 18  # digits
_TICK = 1.0  # seconds between two states that a watcher is sent

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Page:
    """The page's answers; all run in its one thread.

    Args:
        config: of the page.
        ports: the agent.
        logs: its last lines.
        readers: read the agent's state and hand changes over.
        drawers: make pictures.
    """

    def __init__(self, config: PageConfig, ports: Ports, logs: LogRing, readers: Executor, drawers: Executor) -> None:
        self._config = config
        self._ports = ports
        self._logs = logs
        self._readers = readers
        password = config.password.get_secret_value() if config.password else None
        self._guard = Guard(config, Sessions(password))
        self._watch = Watch(ports.state, readers)
        self._studio = Studio(ports, drawers, 1.0 / config.picture_fps)
        self._viewers = 0
        self._closing = asyncio.Event()
        self._files = {path.name: (path.read_bytes(), _type_of(path)) for path in _STATIC.iterdir()}

    def application(self) -> web.Application:
        """The routes, behind the guard."""
        app = web.Application(middlewares=[self._answered, self._guarded], client_max_size=LARGEST_BODY)
        app.on_shutdown.append(self._end_streams)
        app.add_routes(
            [
                web.get("/", self._file, name="index"),
                web.get("/assets/{name}", self._file),
                web.get("/api/session", self._session),
                web.post("/api/login", self._login),
                web.post("/api/logout", self._logout),
                web.get("/api/state", self._state),
                web.get("/api/events", self._events),
                web.get("/api/logs", self._log_lines),
                web.get("/api/cameras/{camera}/picture.jpg", self._picture),
                web.put("/api/cameras/{camera}/lines-and-zones", self._propose),
                web.get("/metrics", self._metrics),
                web.get("/healthz", self._healthz),
            ]
        )
        return app

    @web.middleware
    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Every answer with its headers, handed over in time; who leaves it unread is cut off."""
        if request.path == "/api/events":
            return await self._handled(request, handler)
        try:
            return await asyncio.wait_for(self._handed_over(request, handler), _ANSWER_SECONDS)
        except asyncio.TimeoutError:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=408)  # nobody gets it

    async def _handed_over(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await self._handled(request, handler)
        response.headers.update(HEADERS)
        with contextlib.suppress(ConnectionError):  # who asked has left
            await response.prepare(request)
            await response.write_eof()
        return response

    @staticmethod
    async def _handled(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refused as refused:
            response = _json({"error": str(refused)}, refused.status)
            if refused.wait > 0:
                response.headers["Retry-After"] = f"{refused.wait:.0f}"
            return response
        except SilentAgentError as error:
            return _json({"error": str(error)}, 503)
        except web.HTTPException as error:
            return _json({"error": error.reason}, error.status)

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._guard.check(request)
        return await handler(request)

    async def _end_streams(self, app: web.Application) -> None:
        del app
        self._closing.set()

    async def _file(self, request: web.Request) -> web.Response:
        found = self._files.get(request.match_info.get("name", "index.html"))
        if found is None:
            raise web.HTTPNotFound
        body, kind = found
        return web.Response(body=body, content_type=kind, charset="utf-8", headers={"Cache-Control": "no-cache"})

    async def _session(self, request: web.Request) -> web.Response:
        guard, config = self._guard, self._config
        return _json(
            {
                "signed_in": guard.knows(request),
                "needs_password": guard.sessions.needs_password,
                "token": guard.token,
                "pictures": config.shows_pictures,
                "picture_seconds": 1.0 / config.picture_fps,
                "palette": PALETTE,
                "full": self._crowd,
            }
        )

    async def _login(self, request: web.Request) -> web.Response:
        document = await _body(request)
        password = document.get("password")
        if not isinstance(password, str):
            raise Refused(400, 'expected {"password": "…"}')
        token = self._guard.sign_in(peer_of(request), password)
        response = _json({"signed_in": True})
        self._guard.set_cookie(response, token)
        return response

    async def _logout(self, request: web.Request) -> web.Response:
        self._guard.sessions.close(request.cookies.get(COOKIE))
        response = _json({"signed_in": not self._guard.sessions.needs_password})
        response.del_cookie(COOKIE, path="/")
        return response

    async def _state(self, request: web.Request) -> web.Response:
        del request
        return _json_text((await self._watch.look()).text)

    async def _log_lines(self, request: web.Request) -> web.Response:
        after = request.query.get("after", "0")
        if not (after.isascii() and after.isdecimal()) or len(after) > _LONGEST_NUMBER:
            raise Refused(400, "'after' should be the number of a line")
        return _json({"lines": self._logs.after(int(after))})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if self._crowd is not None:
            raise Refused(503, self._crowd, 10.0)
        self._viewers += 1
        try:
            response = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream; charset=utf-8"})
            response.headers["Cache-Control"] = "no-store"
            await asyncio.wait_for(response.prepare(request), _WRITE_SECONDS)
            while not self._closing.is_set() and self._guard.knows(request):
                await asyncio.wait_for(response.write(await self._event()), _WRITE_SECONDS)
                await _wait(self._closing, _TICK)
        except (asyncio.TimeoutError, ConnectionError):
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._viewers -= 1
        return response

    @property
    def _crowd(self) -> str | None:
        """Why nobody else may watch; None while somebody may."""
        if self._viewers < self._config.viewers:
            return None
        return f"{self._viewers} watch already, as many as 'page.viewers' of agent.toml lets; close another page"

    async def _event(self) -> bytes:
        try:
            seen = await self._watch.look()
        except SilentAgentError as error:
            return f"event: silent\ndata: {json.dumps({'error': str(error)})}\n\n".encode()
        return f"event: state\ndata: {seen.text}\n\n".encode()

    async def _picture(self, request: web.Request) -> web.Response:
        if not self._config.shows_pictures:
            raise Refused(403, "pictures do not leave this box; 'page.pictures = true' of agent.toml allows it")
        camera = await self._camera(request)
        shot = await self._studio.shot(camera)
        if shot is None:
            raise Refused(404, "no picture yet", 1.0)
        headers = {
            "ETag": f'"{shot.sequence}-{shot.taken_at:.3f}"',
            "Cache-Control": "no-store",
            "X-Frame": str(shot.sequence),
            "X-Taken-At": f"{shot.taken_at:.3f}",
            "X-Aspect": f"{shot.aspect:.6f}",
            "X-Drawn": json.dumps(dict(sorted(shot.drawn.items())[:32])),
        }
        if request.headers.get("If-None-Match") == headers["ETag"]:
            return web.Response(status=304, headers=headers)
        return web.Response(body=shot.jpeg, content_type="image/jpeg", headers=headers)

    async def _propose(self, request: web.Request) -> web.Response:
        camera = await self._camera(request)
        document = {**await _body(request), "camera": camera}
        outcome = await asyncio.get_running_loop().run_in_executor(self._readers, self._hand_over, document)
        return _json({"problems": outcome.problems, "note": outcome.note}, 422 if outcome.problems else 200)

    def _hand_over(self, document: dict[str, object]) -> ProposalOutcome:
        try:
            proposal = read_document(CameraProposal, document, "this change")
        except DocumentError as error:
            return ProposalOutcome(tuple(error.problems))
        return self._ports.proposals.propose(proposal)

    async def _camera(self, request: web.Request) -> str:
        name = request.match_info["camera"]
        seen = await self._watch.look()
        if all(camera.id != name for camera in seen.state.watched):
            raise Refused(404, f"no camera {name[:64]!r} on this box")
        return name

    async def _metrics(self, request: web.Request) -> web.Response:
        del request
        seen = await self._watch.look()
        body, kind = await asyncio.get_running_loop().run_in_executor(self._readers, _scrape, seen, self._viewers)
        return web.Response(body=body, headers={"Content-Type": kind, "Cache-Control": "no-store"})

    async def _healthz(self, request: web.Request) -> web.Response:
        try:
            verdict = judge((await self._watch.look()).state)
        except SilentAgentError as error:
            verdict = Verdict(healthy=False, why=str(error))
        document = verdict.document() if self._guard.knows(request) else {"healthy": verdict.healthy}
        return _json(document, 200 if verdict.healthy else 503)


def _scrape(seen: Seen, viewers: int) -> tuple[bytes, str]:
    from agent.page.metrics import exposition  # who is not scraped does not pay for it
    from runtime.prometheus import CONTENT_TYPE

    return exposition(seen.state, viewers), CONTENT_TYPE


async def _body(request: web.Request) -> dict[str, object]:
    try:
        document = json.loads(await request.text())
    except (ValueError, RecursionError, LookupError):  # LookupError: an encoding that does not exist
        raise Refused(400, "expected JSON in UTF-8") from None
    if not isinstance(document, dict):
        raise Refused(400, "expected a JSON object")
    return document


async def _wait(event: asyncio.Event, seconds: float) -> None:
    waiting = asyncio.ensure_future(event.wait())
    await asyncio.wait({waiting}, timeout=seconds)
    waiting.cancel()


def _json(document: object, status: int = 200) -> web.Response:
    return _json_text(json.dumps(document), status)


def _json_text(text: str, status: int = 200) -> web.Response:
    return web.Response(
        text=text, status=status, content_type="application/json", headers={"Cache-Control": "no-store"}
    )


def _type_of(path: Path) -> str:
    return {".js": "text/javascript", ".svg": "image/svg+xml"}.get(path.suffix) or mimetypes.types_map[path.suffix]
