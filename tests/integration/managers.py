"""A service manager's side of sd_notify: a real datagram socket, and what came to it."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

from typing_extensions import Self

from tests.integration.brokers import wait_until


class Manager:
    """Listens for a service that is started with its `environment`.

    Args:
        folder: for the socket; its path has to be short.
        watchdog: seconds, as of WatchdogSec.
    """

    def __init__(self, folder: Path, watchdog: float) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(folder / "notify"))
        self.environment = {
            "NOTIFY_SOCKET": str(folder / "notify"),
            "WATCHDOG_USEC": str(int(watchdog * 1e6)),
            "STATE_DIRECTORY": str(folder / "service"),
        }
        self.heard: list[str] = []
        self._heard_at = time.monotonic()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
            own.sendto(b"", self.environment["NOTIFY_SOCKET"])
        self._thread.join()
        self._socket.close()

    @property
    def fed(self) -> int:
        """How often the watchdog was."""
        return sum("WATCHDOG=1" in words for words in self.heard)

    @property
    def status(self) -> str:
        """What it said of itself last."""
        lines = [line for words in self.heard for line in words.splitlines() if line.startswith("STATUS=")]
        return lines[-1].partition("=")[2] if lines else ""

    def silent_for(self, seconds: float) -> bool:
        """Whether nothing has come for so long."""
        return time.monotonic() - self._heard_at >= seconds

    def wait_for(self, words: str) -> None:
        """Wait until it has said that."""
        wait_until(lambda: any(words in one for one in list(self.heard)))

    def wait_until_fed(self, times: int) -> None:
        """Wait until the watchdog was fed so many times more."""
        before = self.fed
        wait_until(lambda: self.fed >= before + times)

    def _listen(self) -> None:
        while words := self._socket.recv(65536):
            self.heard.append(words.decode())
            self._heard_at = time.monotonic()
