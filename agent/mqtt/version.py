"""Which version of MQTT to try: 5, and 3.1.1 with brokers that do not know it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

from agent.mqtt.ports import Version
from agent.mqtt.problems import ConnectError

_CLOSED_BEFORE_OLD = 2  # an overloaded broker hangs up once; one that does not know MQTT 5 does so every time
_REMEMBERED_SECONDS = 6 * 3600.0


class VersionChoice:
    """Remembers what the broker took; a restart of the agent, or some hours, begin again with 5.

    Args:
        monotonic: seconds.
        wanted: a version that was asked for; nothing else is tried then.
    """

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        wanted: Literal["auto", "5", "3.1.1"] = "auto",
    ) -> None:
        self._wanted = wanted
        self._monotonic = monotonic
        self._closed = 0
        self._took_five = False
        self._trying_old = False
        self._old_until = 0.0

    def next(self) -> Version:
        """The version to try now."""
        if self._wanted != "auto":
            return self._wanted
        return "3.1.1" if self._trying_old or self._monotonic() < self._old_until else "5"

    def succeeded(self, version: Version) -> None:
        """The broker accepted a connection."""
        self._forget()
        self._took_five = self._took_five or version == "5"
        if version == "3.1.1":
            self._old_until = self._monotonic() + _REMEMBERED_SECONDS

    def failed(self, version: Version, error: ConnectError) -> None:
        """The broker could not be reached, or refused."""
        if error.kind == "other":
            return
        if version == "3.1.1":  # so the version was not what it minded
            self._forget()
            return
        if self._took_five and error.kind != "version":
            return  # it knows MQTT 5; now it restarts, or a load balancer has nobody to connect us to
        self._closed += 1
        if error.kind != "closed" or self._closed >= _CLOSED_BEFORE_OLD:
            self._closed = 0
            self._trying_old = True

    def _forget(self) -> None:
        self._closed = 0
        self._trying_old = False
        self._old_until = 0.0
