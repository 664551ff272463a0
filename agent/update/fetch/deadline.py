"""Connections of urllib3 on which the whole head of an answer must come in time.

Its own limits are for each read from the socket: a server that sends a header's byte every few seconds would hold a
box for days, and the next mirror would never be asked.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import HTTPResponse


def bound_heads(manager: urllib3.PoolManager, seconds: float) -> None:
    """Have every connection that a manager makes from now on give up an answer whose head takes longer."""

    class Plain(HTTPConnection):
        def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # urllib3's differs from http.client's
            with _ended_after(self.sock, seconds):
                return super().getresponse()

    class Encrypted(HTTPSConnection):
        def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # urllib3's differs from http.client's
            with _ended_after(self.sock, seconds):
                return super().getresponse()

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(HTTPSConnectionPool):
        ConnectionCls = Encrypted

    manager.pool_classes_by_scheme = {"http": PlainPool, "https": EncryptedPool}


@contextlib.contextmanager
def _ended_after(connection: socket.socket | None, seconds: float) -> Iterator[None]:
    """Ends a connection for whoever reads from it, unless this is over in time.

    Raises:
        TimeoutError: it was not; what was read of the head would pass for a whole one.
    """
    late = threading.Event()

    def end() -> None:
        late.set()
        if connection is not None:
            with contextlib.suppress(OSError):  # gone already
                # The plain socket's method: an encrypted one's would take its state from under the reading thread.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
    if late.is_set():
        raise TimeoutError(f"no whole head within {seconds:g} s")
