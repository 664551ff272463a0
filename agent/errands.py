"""Work that another thread wants done by the daemon's own."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from contracts.errors import DeviceError

_Result = TypeVar("_Result")


class AgentEndsError(DeviceError):
    """The agent ends; the errand was not run."""


class Errands:
    """What waits for the daemon's thread.

    Args:
        wake: has that thread come to its next `turn` soon.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._waiting: deque[tuple[Callable[[], object], Future[object]]] = deque()
        self._lock = threading.Lock()
        self._closed = False

    def run(self, work: Callable[[], _Result]) -> _Result:
        """Have the daemon's thread do it, and wait; to be called by any other one.

        Raises:
            AgentEndsError: it will not be done.
            Exception: what the work raises.
        """
        result: Future[_Result] = Future()

        def carried_out() -> None:
            try:
                result.set_result(work())
            except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
                result.set_exception(error)

        with self._lock:
            if self._closed:
                raise AgentEndsError("the agent ends; ask again once it runs")
            self._waiting.append((carried_out, result))  # type: ignore[arg-type]
        self._wake()
        return result.result()

    def turn(self) -> None:
        """Do all that waits; never raises."""
        while self._waiting:
            work, _ = self._waiting.popleft()
            work()

    def close(self) -> None:
        """Do nothing more: who waits is told so; twice is harmless."""
        with self._lock:
            self._closed = True
            left = list(self._waiting)
            self._waiting.clear()
        for _, result in left:
            result.set_exception(AgentEndsError("the agent ends; ask again once it runs"))
