"""Commits windows on a thread of its own, so that a slow disk delays no window's end."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from agent.counting.window import WindowCounts
from agent.ledger import MOST_WAITING, Ledger
from agent.timings import Timings


class Committer:
    """Hands windows to the ledger in their order.

    Args:
        ledger: used by this thread alone from now on; its committed totals may be read by others.
        committed: called after each commit that the disk took.
        timings: how long commits take goes there, and how old each report's newest frame is when it is published.
    """

    def __init__(self, ledger: Ledger, committed: Callable[[], object], timings: Timings) -> None:
        self._ledger = ledger
        self._committed = committed
        self._timings = timings
        self._windows: queue.Queue[Sequence[WindowCounts] | None] = queue.Queue()
        self._newest: deque[float] = deque(maxlen=MOST_WAITING)  # of windows that the disk did not take yet
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    def submit(self, windows: Sequence[WindowCounts]) -> None:
        """Commit these as soon as those before are; does not wait.

        Raises:
            Exception: what ended the thread, where something did: nothing is committed any more.
        """
        if self._fault is not None:
            raise self._fault
        self._windows.put(windows)

    @property
    def windows_held(self) -> int:
        """Windows of cameras that are not on the disk yet: those of a slow disk, and those that it refused."""
        with self._windows.mutex:
            waiting = sum(len(windows or ()) for windows in self._windows.queue)
        return waiting + self._ledger.windows_held

    def close(self, timeout: float = 30.0) -> None:
        """Commit what waits, then end; twice is harmless.

        Args:
            timeout: seconds to wait for the disk.
        """
        self._windows.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        while (windows := self._windows.get()) is not None:
            begun = time.perf_counter()
            try:
                taken = self._ledger.commit(windows)
            except BaseException as error:  # noqa: BLE001 - told to the thread that submits, which ends the agent
                self._fault = error
                return
            self._timings.add("publish", time.perf_counter() - begun)
            self._newest.extend(window.newest for window in windows if window.newest is not None)
            if taken:
                self._committed()
                self._note_published(time.monotonic())

    def _note_published(self, now: float) -> None:
        for newest in self._newest:
            self._timings.add("published", now - newest)
        self._newest.clear()
