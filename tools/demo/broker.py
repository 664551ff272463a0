"""An MQTT broker inside this process (amqtt, MQTT 3.1.1), for a machine that has none."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from concurrent.futures import Future
from types import TracebackType

from amqtt.broker import Broker
from amqtt.errors import BrokerError as AmqttError
from typing_extensions import Self

from contracts.errors import PortInUseError


class EmbeddedBroker:
    """Listens on loopback while the ``with`` block lasts.

    Args:
        port: TCP port; 0 takes a free one.

    Raises:
        PortInUseError: the port is taken.
    """

    def __init__(self, port: int) -> None:
        self.port = port or _free_port()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="broker", daemon=True)
        self._broker: Broker | None = None

    def __enter__(self) -> Self:
        logging.getLogger("amqtt").setLevel(logging.CRITICAL)
        logging.getLogger("transitions").setLevel(logging.CRITICAL)
        if not _is_free(self.port):
            raise PortInUseError(f"127.0.0.1:{self.port}", "choose another with --port, or use its owner with --broker")
        self._thread.start()
        try:
            self._run(self._start())
        except (AmqttError, OSError) as error:
            self._end()
            raise PortInUseError(f"127.0.0.1:{self.port}", f"choose another with --port ({error})") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._broker is not None:
            self._run(self._broker.shutdown())
        self._end()

    async def _start(self) -> None:
        self._broker = Broker(
            {
                "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{self.port}"}},
                "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
            }
        )
        await self._broker.start()

    def _run(self, work: object) -> None:
        future: Future[None] = asyncio.run_coroutine_threadsafe(work, self._loop)  # type: ignore[arg-type]
        future.result(timeout=10)

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
