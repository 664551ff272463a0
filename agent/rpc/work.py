"""A thread that works off what it is given, one after the other; what does not fit is turned away."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

_log = logging.getLogger(__name__)
_NICE = 10  # of the thread: counting comes first

Item = TypeVar("Item")


class Worker(Generic[Item]):
    """The thread, from `start` to `close`.

    Args:
        name: of the thread.
        most: items that wait at most.
        work: does one item; what it raises is logged, and the next one is done.
    """

    def __init__(self, name: str, most: int, work: Callable[[Item], None]) -> None:
        self._work = work
        self._closing = threading.Event()
        self._items: queue.Queue[Item | None] = queue.Queue(most)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def offer(self, item: Item) -> bool:
        """Hand an item over, without waiting; returns whether there was room."""
        with contextlib.suppress(queue.Full):
            self._items.put_nowait(item)
            return True
        return False

    def close(self, timeout: float) -> None:
        """Finish what is under way, and leave what waits; twice is harmless.

        Args:
            timeout: seconds to wait for it; then it is left behind.
        """
        self._closing.set()
        self._drain()
        with contextlib.suppress(queue.Full):
            self._items.put_nowait(None)
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _drain(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._items.get_nowait()

    def _run(self) -> None:
        with contextlib.suppress(OSError, AttributeError):  # Linux gives each thread a priority of its own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        while not self._closing.is_set() and (item := self._items.get()) is not None:
            self._do(item)

    def _do(self, item: Item) -> None:
        try:
            self._work(item)
        except Exception:  # noqa: BLE001 - whoever asks must not be able to stop the thread
            _log.exception("%s failed", self._thread.name)
