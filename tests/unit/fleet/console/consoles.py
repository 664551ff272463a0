"""A console over a database of its own, asked without a network: the very application, by ASGI."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode

from argon2 import PasswordHasher

from fleet.access.passwords import Passwords
from fleet.access.roles import Role, Scope
from fleet.console.app import application
from fleet.console.console import Console
from fleet.console.settings import ConsoleSettings
from fleet.ingest import Arrived, Ingest
from fleet.store.audit import Author
from fleet.store.database import Database
from tests.fakes.inventory import MemoryCounts

PASSWORD = "correct horse battery"
AUTHOR = Author("root", "cli")
START_MS = 1_800_000_000_000
DAY_MS = 86_400_000
QUICK = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The last header of that name."""
        return dict(self.headers).get(name)

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Client:
    """A browser or program: remembers cookies, and says what a browser says of itself."""

    app: Any
    headers: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    address: str = "203.0.113.7"
    csrf: str = ""

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers=headers)

    def post(self, path: str, form: Mapping[str, str], **headers: str) -> Answer:
        """A form, as a page of ours sends it."""
        form = {"csrf": self.csrf, **form} if self.csrf else form
        kind = {"content-type": "application/x-www-form-urlencoded"}
        return self.ask("POST", path, urlencode(form).encode(), kind | headers)

    def send(self, method: str, path: str, document: object) -> Answer:
        """JSON."""
        return self.ask(method, path, json.dumps(document).encode(), {"content-type": "application/json"})

    def sign_in(self, name: str, password: str = PASSWORD) -> Answer:
        answer = self.post("/login", {"name": name, "password": password})
        if answer.status == 303:
            found = re.search(r'name="csrf" value="([^"]+)"', self.get("/account").text)
            self.csrf = found[1] if found else ""
        return answer

    def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        sent = {"host": "localhost", **self.headers, **{k.replace("_", "-"): v for k, v in (headers or {}).items()}}
        if body:
            sent.setdefault("content-length", str(len(body)))
        if self.cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = asyncio.run(_ask(self.app, method, path, body, sent, self.address))
        for name, value in answer.headers:
            if name == "set-cookie":
                cookie, _, rest = value.partition("=")
                self.cookies[cookie] = rest.partition(";")[0].strip('"')
                if "Max-Age=0" in value:
                    del self.cookies[cookie]
        return answer


@dataclass
class Rig:
    """A console, its database, and a clock that stands still."""

    database: Database
    settings: ConsoleSettings = field(default_factory=ConsoleSettings)
    now_ms: int = START_MS

    def __post_init__(self) -> None:
        self.console = Console(self.database, self.settings, QUICK, lambda: self.now_ms)
        self.app = application(self.console)

    def user(self, name: str, role: Role = "viewer") -> None:
        self.console.users.add(name, role, QUICK.hash(PASSWORD), AUTHOR, self.now_ms)

    def token(self, name: str, *scopes: Scope) -> Client:
        """A program with a token of that user."""
        expires = self.now_ms + DAY_MS
        _, text = self.console.tokens.add(name, "test", scopes, AUTHOR, self.now_ms, expires)
        return Client(self.app, {"authorization": f"Bearer {text}"})

    def signed_in(self, name: str) -> Client:
        """A browser in which that user signed in."""
        client = Client(self.app)
        assert client.sign_in(name).status == 303
        return client

    def tell(self, *messages: tuple[str, bytes]) -> None:
        """Boxes tell something."""
        Ingest(self.console.devices, MemoryCounts()).take(
            [Arrived(*message, False, self.now_ms) for message in messages]
        )


def rig(folder: Path, **settings: Any) -> Rig:
    return Rig(Database(str(folder / "fleet.db")), ConsoleSettings(**settings))


async def _ask(app: Any, method: str, path: str, body: bytes, headers: Mapping[str, str], address: str) -> Answer:
    where, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(where, errors="replace"),
        "raw_path": where.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
        "client": (address, 40_000),
        "server": ("localhost", 80),
    }
    sent: list[dict[str, Any]] = []
    given = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if given:
            return given.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start = next(one for one in sent if one["type"] == "http.response.start")
    found = tuple((name.decode().lower(), value.decode("latin-1")) for name, value in start["headers"])
    return Answer(start["status"], found, b"".join(one.get("body", b"") for one in sent))
