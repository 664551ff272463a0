"""sd_notify: how a service tells its manager how it is; sd_notify(3) has the words.

Own code, for it is one datagram: `sdnotify` does no more than that, and `systemd-python` is a C extension
that wants libsystemd's headers to build.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping
from typing import Protocol


class ServiceManager(Protocol):
    """Who started the agent and starts it anew."""

    @property
    def watchdog(self) -> float | None:
        """Seconds without a sign of life after which it ends the agent; None where it never does."""

    def tell(self, words: str) -> None:
        """Say something, lines of ``NAME=value``; never waits and never raises, and a signal's handler may call it."""


class Nobody:
    """No service manager."""

    watchdog = None

    def tell(self, words: str) -> None:
        """Tell nobody."""


class Systemd:
    """systemd, or another that speaks sd_notify.

    Args:
        address: of its datagram socket: a path, or ``@name`` in Linux' abstract namespace.
        watchdog: as of `ServiceManager`.
    """

    def __init__(self, address: str, watchdog: float | None) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._watchdog = watchdog

    @property
    def watchdog(self) -> float | None:
        """See `ServiceManager`."""
        return self._watchdog

    def tell(self, words: str) -> None:
        """See `ServiceManager`; what a manager that is busy or gone does not take is lost."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
            to.setblocking(False)
            to.sendto(words.encode(), self._address)


def find_manager(environment: Mapping[str, str] = os.environ, pid: int | None = None) -> ServiceManager:
    """The manager that this process was started by.

    Args:
        environment: of the process.
        pid: of the process; a child of a service has its variables too, and is not asked for signs of life.
    """
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return Nobody()
    asked = environment.get("WATCHDOG_PID", "") in {"", str(os.getpid() if pid is None else pid)}
    microseconds = environment.get("WATCHDOG_USEC", "")
    watched = asked and microseconds.isascii() and microseconds.isdecimal() and int(microseconds) > 0
    return Systemd(address, int(microseconds) / 1e6 if watched else None)
