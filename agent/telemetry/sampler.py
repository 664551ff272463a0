"""The thread that asks the hardware: what hangs there holds up nothing else."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

from agent.limited_log import LimitedLog
from agent.telemetry.reading import Reader, Reading
from agent.telemetry.summary import Spells, summary
from contracts.health import Telemetry

_log = logging.getLogger(__name__)
_faults = LimitedLog(_log, seconds=3600.0)

_PATIENCE = 3.0  # intervals, after which what was told says nothing of now
_LEAST_PATIENCE = 10.0  # seconds; a driver takes its time to be opened


class Sampler:
    """Keeps the newest of what the hardware tells.

    Args:
        find: gives the readers; called once, in the thread, for a driver may hang there already.
        interval: seconds between two readings.
        hot: degrees from which every sensor is hot; None for each one's own.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        find: Callable[[], Mapping[str, Reader]],
        interval: float,
        hot: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._find = find
        self._interval = interval
        self._patience = max(_PATIENCE * interval, _LEAST_PATIENCE)
        self._hot = hot
        self._clock = clock
        self._spells = Spells()
        self._begun = clock()
        self._newest: tuple[float, Telemetry] | None = None  # replaced whole, so that it needs no lock
        self._asked = "what there is"
        self._said_stale = False
        self._stop = threading.Event()
        # A daemon: a driver that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)

    def start(self) -> None:
        """Begin; once."""
        self._thread.start()

    def close(self, timeout: float = 1.0) -> None:
        """Stop; a reader that hangs is left behind after ``timeout`` seconds."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def latest(self, now: float) -> Telemetry | None:
        """What the hardware told last; None before the first time, and where that is long ago.

        Args:
            now: monotonic seconds.
        """
        newest = self._newest
        fresh = now - (self._begun if newest is None else newest[0]) <= self._patience
        if not fresh and not self._said_stale:
            _log.warning("telemetry: %s does not answer; temperature and load are not known", self._asked)
        self._said_stale = not fresh
        return newest[1] if newest is not None and fresh else None

    def sample(self, readers: Mapping[str, Reader]) -> None:
        """Ask all readers once."""
        now = self._clock()
        readings = [self._read(name, reader, now) for name, reader in readers.items()]
        self._newest = (now, summary(readings, self._spells, now, self._hot))

    def _run(self) -> None:
        try:
            readers = self._find()
        except Exception:  # noqa: BLE001 - a fault in a reader must not end the agent
            _log.exception("telemetry: the hardware cannot be looked at")
            return
        while not self._stop.is_set():
            self.sample(readers)
            self._stop.wait(self._interval)

    def _read(self, name: str, reader: Reader, now: float) -> Reading:
        self._asked = name
        try:
            return reader.read(now)
        except Exception:  # noqa: BLE001 - one reader's fault must not cost the others
            _faults.exception("telemetry: %s failed", name)
            return Reading()
