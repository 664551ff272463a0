"""The page on a free loopback port, and asking it over real HTTP."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from agent.page.ports import Redact, as_it_is
from agent.page.server import PageServer
from contracts.config import PageConfig
from tests.fakes.page import FakeAgent
from tests.integration.brokers import free_port

PATIENCE = 30.0  # seconds; only a failing test waits that long


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body's document."""
        return json.loads(self.body)


class Visitor:
    """Asks a page.

    Args:
        port: of the page.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def ask(
        self, path: str, method: str = "GET", body: object = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request on a connection of its own; a body that is no bytes is sent as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        try:
            connection.request(method, path, body=data, headers=dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def change(self, path: str, body: object, headers: Mapping[str, str] | None = None, method: str = "PUT") -> Answer:
        """A change as our own script makes it."""
        token = self.ask("/api/session").json()["token"]
        ours = {"Content-Type": "application/json", "X-Edgetally-Token": token, "Origin": self.url}
        return self.ask(path, method, body, {**ours, **(headers or {})})

    def connect(self, text: str = "") -> socket.socket:
        """A bare connection on which so much was sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        connection.sendall(text.encode())
        return connection


@contextmanager
def page_of(agent: FakeAgent, redact: Redact = as_it_is, **settings: Any) -> Iterator[Visitor]:
    """A page that runs, and ends with the block."""
    port = free_port()
    server = PageServer(PageConfig(**{"address": f"127.0.0.1:{port}", **settings}), agent.ports(redact))
    server.start()
    try:
        yield Visitor(port)
    finally:
        server.close()
