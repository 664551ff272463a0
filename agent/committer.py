"""Commits windows on a thread of its own, so that a slow disk delays no window's end."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from agent.counting.window import WindowCounts
from agent.ledger import MOST_WAITING, Ledger
from agent.timings import Timings
from contracts.config import CameraConfig

_log = logging.getLogger(__name__)


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
        self._work: queue.Queue[tuple[Sequence[WindowCounts], Sequence[CameraConfig] | None] | None] = queue.Queue()
        self._newest: deque[float] = deque(maxlen=MOST_WAITING)  # of windows that the disk did not take yet
        self._fault: BaseException | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    def submit(self, windows: Sequence[WindowCounts], cameras: Sequence[CameraConfig] | None = None) -> None:
        """Commit these as soon as those before are; does not wait.

        Args:
            windows: as of `Ledger.commit`, like the next.
            cameras: see there.

        Raises:
            Exception: what ended the thread, where something did: nothing is committed any more.
        """
        if self._fault is not None:
            raise self._fault
        self._work.put((windows, cameras))

    @property
    def windows_held(self) -> int:
        """Windows of cameras that are not on the disk yet: those of a slow disk, and those that it refused."""
        with self._work.mutex:
            waiting = sum(len(work[0]) for work in self._work.queue if work is not None)
        return waiting + self._ledger.windows_held

    def close(self, timeout: float = 30.0) -> None:
        """Commit what waits, then end; twice is harmless.

        Args:
            timeout: seconds to wait for the disk.

        Raises:
            Exception: what ended the thread, where something did.
        """
        if self._closed:
            return
        self._closed = True
        self._work.put(None)
        self._thread.join(timeout)
        if self._fault is not None:
            raise self._fault
        if held := self.windows_held:
            _log.error("the disk did not take the last %d windows; they are lost", held)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            begun = time.perf_counter()
            try:
                taken = self._ledger.commit(*work)
            except BaseException as error:
                self._fault = error
                raise  # who hears of it ends the agent, not only when the next window is submitted
            self._timings.add("publish", time.perf_counter() - begun)
            self._newest.extend(window.newest for window in work[0] if window.newest is not None)
            if taken:
                self._committed()
                self._note_published(time.monotonic())

    def _note_published(self, now: float) -> None:
        for newest in self._newest:
            self._timings.add("published", now - newest)
        self._newest.clear()
