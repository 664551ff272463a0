"""The page's thread: it listens, answers, and keeps out of the way of counting."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import ssl
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from agent.page.logs import LogRing
from agent.page.ports import Ports
from contracts.config import PageConfig
from contracts.errors import DeviceError, PortInUseError, RuntimeMissingError

if TYPE_CHECKING:
    from aiohttp.web import Server

_log = logging.getLogger(__name__)

MOST_CONNECTIONS = 64
REQUEST_SECONDS = 15.0
"""How long a client may take to send a request's head, from when it connected or was answered last."""

_BACKLOG = 32
_RETRY_SECONDS = 1.0
_NICE = 10  # of the page's threads; Linux gives each thread a priority of its own
_END_SECONDS = 5.0  # that answers under way get when it closes


class PageServer:
    """The page, from `start` to `close`.

    Everything runs in threads of lower priority; the agent is only read through the ports.

    Args:
        config: where it listens and who may look.
        ports: the agent.
        secrets: texts that its log never shows.
    """

    def __init__(self, config: PageConfig, ports: Ports, secrets: Iterable[str] = ()) -> None:
        self._config = config
        self._ports = ports
        own = [config.password.get_secret_value()] if config.password else []
        self._logs = LogRing([*own, *secrets])
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    def hide(self, secrets: Iterable[str]) -> None:
        """Have its log not show these texts either."""
        self._logs.hide(secrets)

    @property
    def url(self) -> str:
        """Where it is found."""
        scheme = "https" if self._config.certificate else "http"
        return f"{scheme}://{self._config.address}"

    def start(self) -> None:
        """Listen; returns at once.

        Raises:
            RuntimeMissingError: the extra ``page`` is not installed.
            PortInUseError: something else listens there.
            DeviceError: the address is not of this box, or the certificate cannot be read.
        """
        try:
            import agent.page.app  # noqa: F401 - here, so that what is missing is said to who starts it
        except ModuleNotFoundError as error:
            raise RuntimeMissingError("the page", error.name or "aiohttp", "page") from error
        tls = self._tls()
        listener = self._listen()
        logging.getLogger().addHandler(self._logs)
        self._thread = threading.Thread(target=self._run, args=(listener, tls), name="page", daemon=True)
        self._thread.start()
        _log.info("the page is at %s", self.url)

    def close(self, timeout: float = 2 * _END_SECONDS) -> None:
        """Stop listening and end all answers; twice is harmless.

        Args:
            timeout: seconds to wait for it; then it is left behind.
        """
        logging.getLogger().removeHandler(self._logs)
        thread, self._thread = self._thread, None
        if thread is None:
            return
        while thread.is_alive():
            if self._loop is not None and self._stop is not None:
                with contextlib.suppress(RuntimeError):  # it ended just now
                    self._loop.call_soon_threadsafe(self._stop.set)
                thread.join(timeout)
                break
            thread.join(0.01)
        if thread.is_alive():
            _log.error("the page does not end; it is left behind")

    def _listen(self) -> socket.socket:
        host, port = self._config.listens
        try:
            family, *_, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
            )[0]
            listener = socket.socket(family, socket.SOCK_STREAM)
            try:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(address)
                listener.listen(_BACKLOG)
                listener.setblocking(False)
            except BaseException:
                listener.close()
                raise
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortInUseError(self._config.address, "choose another 'page.address' in agent.toml") from error
            problem = f"cannot listen on {self._config.address}: {error.strerror or error}"
            raise DeviceError(f"{problem}; choose another 'page.address' in agent.toml") from error
        return listener

    def _tls(self) -> ssl.SSLContext | None:
        config = self._config
        if config.certificate is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(config.certificate, config.key)
        except OSError as error:  # ssl's own errors are among them
            problem = f"the page's certificate {config.certificate} and key {config.key} cannot be used: {error}"
            raise DeviceError(f"{problem}; check 'page.certificate' and 'page.key' of agent.toml") from error
        return context

    def _run(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        _step_back()
        with listener:
            try:
                asyncio.run(self._serve(listener, tls))
            except BaseException:  # noqa: BLE001 - it is not worth a count
                _log.exception("the page broke; counting goes on without it")

    async def _serve(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        from aiohttp import web

        from agent.page.app import Page

        self._stop = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        readers = ThreadPoolExecutor(1, "page-read", initializer=_step_back)
        drawers = ThreadPoolExecutor(1, "page-draw", initializer=_step_back)
        runner = web.AppRunner(
            Page(self._config, self._ports, self._logs, readers, drawers).application(),
            access_log=None,
            keepalive_timeout=REQUEST_SECONDS,
            max_line_size=4096,
            max_field_size=4096,
            max_headers=64,
            auto_decompress=False,
            lingering_time=1.0,
            shutdown_timeout=_END_SECONDS,
        )
        await runner.setup()
        accepting = asyncio.create_task(_accept(listener, runner.server, tls))
        try:
            await self._stop.wait()
        finally:
            accepting.cancel()
            await runner.cleanup()
            readers.shutdown(wait=False, cancel_futures=True)
            drawers.shutdown(wait=False, cancel_futures=True)


async def _accept(listener: socket.socket, served: Server | None, tls: ssl.SSLContext | None) -> None:
    """Take connections in, never more than `MOST_CONNECTIONS`, those that still shake hands included.

    Not `create_server`: it has no limit, and what a stranger opens there could leave no file for a camera.
    """
    assert served is not None
    loop, welcomed = asyncio.get_running_loop(), set[asyncio.Task[None]]()
    while True:
        try:
            connection, _ = await loop.sock_accept(listener)
        except OSError as error:
            _log.warning("the page cannot take a connection in (%s); it tries again", error.strerror or error)
            await asyncio.sleep(_RETRY_SECONDS)
            continue
        if len(welcomed) + len(served.connections) >= MOST_CONNECTIONS:
            connection.close()
            continue
        task = asyncio.create_task(_welcome(connection, served, tls))
        welcomed.add(task)
        task.add_done_callback(welcomed.discard)


async def _welcome(connection: socket.socket, served: Server, tls: ssl.SSLContext | None) -> None:
    patience = None if tls is None else REQUEST_SECONDS
    with contextlib.suppress(OSError):  # it left, or speaks no TLS; ssl's errors are among them
        await asyncio.get_running_loop().connect_accepted_socket(
            served, connection, ssl=tls, ssl_handshake_timeout=patience
        )


def _step_back() -> None:
    """Give this thread a lower priority, where the system can."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
