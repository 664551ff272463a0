"""edgetally-fleet console as a process, asked over real HTTP."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from fleet.access.passwords import Passwords
from fleet.access.roles import Role
from fleet.store.audit import Author
from fleet.store.database import Database
from fleet.store.users import UserStore
from tests.integration.brokers import PATIENCE, free_port, wait_until

PASSWORD = "correct horse battery"
AUTHOR = Author("root", "cli")
ROOT = Path(__file__).parents[2]


def add_users(database: Database, **roles: Role) -> None:
    """Users with that password."""
    hashed = Passwords().hash(PASSWORD)
    for name, role in roles.items():
        UserStore(database).add(name, role, hashed, AUTHOR, 0)


@dataclass
class Running:
    """A console that runs: where it is, and what it logged."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def logged(self, text: str) -> bool:
        return text in self.log.read_text()

    @contextmanager
    def logs(self, text: str) -> Iterator[None]:
        """The block has this logged."""
        before = self.log.read_text().count(text)
        yield
        wait_until(lambda: self.log.read_text().count(text) > before)


@contextmanager
def console(folder: Path, address: str, *options: str, port: int | None = None) -> Iterator[Running]:
    """A console on a database, which ends with the block; it ends by SIGTERM, with 0."""
    port = port or free_port()
    command = [sys.executable, "-m", "fleet.cli", "console", "--listen", f"127.0.0.1:{port}", "--database", address]
    log = folder / f"console-{port}.log"
    with log.open("wb") as stderr:
        process = subprocess.Popen([*command, *options], cwd=ROOT, stderr=stderr, env={**os.environ, "NO_COLOR": "1"})
    running = Running(f"http://127.0.0.1:{port}", process, log)
    try:
        wait_until(lambda: running.logged("the console is at") or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert code == 0, log.read_text()
    assert "Traceback" not in log.read_text(), log.read_text()


@dataclass
class Program:
    """A program that asks over HTTP, as it likes; it keeps cookies.

    Args:
        url: of the console, or of what stands before it.
        context: of TLS.
    """

    url: str
    context: Any = None
    cookies: dict[str, str] = field(default_factory=dict)
    set_cookie: str = ""

    def ask(
        self, method: str, path: str, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """The status and the text of the answer."""
        where = urlsplit(self.url)
        if where.scheme == "https":
            assert where.port
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                where.hostname or "", where.port, timeout=PATIENCE, context=self.context
            )
        else:
            connection = http.client.HTTPConnection(where.netloc, timeout=PATIENCE)
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()), **(headers or {})}
        body = None if form is None else urlencode(form)
        if body is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        self.set_cookie = response.getheader("set-cookie") or ""
        if self.set_cookie:
            name, _, rest = self.set_cookie.partition("=")
            self.cookies[name] = rest.partition(";")[0]
        return response.status, text

    def csrf(self) -> str:
        """The session's own token, as a page holds it."""
        found = re.search(r'name="csrf" value="([^"]+)"', self.ask("GET", "/account")[1])
        assert found
        return found[1]
