"""Web servers that lie, stall or break off: each connection is answered with bytes that a test wrote itself."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

from tests.integration.brokers import PATIENCE


class Connection:
    """One connection of a client.

    Attributes:
        head: what it asked, without the blank line at its end.
    """

    def __init__(self, connection: socket.socket, head: str) -> None:
        self._socket = connection
        self.head = head

    def header(self, name: str) -> str | None:
        """A header of the question, None where it has none."""
        for line in self.head.split("\r\n")[1:]:
            found, _, value = line.partition(":")
            if found.lower() == name.lower():
                return value.strip()
        return None

    @property
    def start(self) -> int:
        """The offset that is asked for."""
        return int((self.header("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))

    def send(self, data: bytes) -> None:
        """Send bytes; harmless where the client is gone."""
        with contextlib.suppress(OSError):
            self._socket.sendall(data)

    def answer(self, status: str, *headers: str, body: bytes = b"") -> None:
        """Send a head, and a body."""
        self.send("".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", *headers, "")).encode("latin-1") + body)

    def whole(self, data: bytes, *headers: str) -> None:
        """Send a file as an honest server does, from the offset that is asked for."""
        start = self.start
        length = f"Content-Length: {len(data) - start}"
        if start:
            content_range = f"Content-Range: bytes {start}-{len(data) - 1}/{len(data)}"
            self.answer("206 Partial Content", length, content_range, *headers, body=data[start:])
        else:
            self.answer("200 OK", length, *headers, body=data)

    def wait_for_end(self) -> None:
        """Say nothing until the client goes, or the test ends."""
        with contextlib.suppress(OSError):
            while self._socket.recv(1024):
                pass


Play = Callable[[Connection], object]


class Liar:
    """A server on loopback that plays, one after the other, what it is given; the last one for ever.

    Attributes:
        asked: every question that came.
    """

    def __init__(self, *plays: Play) -> None:
        self._plays = list(plays)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.asked: list[Connection] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._accepts = threading.Thread(target=self._accept)
        self._accepts.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                thread = threading.Thread(target=self._serve, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            data = b""
            while b"\r\n\r\n" not in data:
                received = connection.recv(65536)
                if not received:
                    return
                data += received
            question = Connection(connection, data.partition(b"\r\n\r\n")[0].decode("latin-1"))
            self.asked.append(question)
            play = self._plays.pop(0) if len(self._plays) > 1 else self._plays[0]
            play(question)
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it, with every connection."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepts.join(PATIENCE)
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)


@contextlib.contextmanager
def liar(*plays: Play) -> Iterator[Liar]:
    """A server for the time of a test."""
    server = Liar(*plays)
    try:
        yield server
    finally:
        server.close()
