"""Logging from the hot path: a fault that repeats thirty times a second is said now and then, and how often it came."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable


class LimitedLog:
    """Says at most one fault in ``seconds``; the next one says how many were left out.

    Args:
        log: where it is said.
        seconds: the shortest time between two lines.
        clock: seconds, monotonic.
    """

    def __init__(self, log: logging.Logger, seconds: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._seconds = seconds
        self._clock = clock
        self._said_at: float | None = None
        self._left_out = 0

    def error(self, message: str, *args: object) -> None:
        """Say a fault that explains itself."""
        self._say(message, args, traceback=False)

    def exception(self, message: str, *args: object) -> None:
        """Say a fault with the traceback of the exception being handled."""
        self._say(message, args, traceback=True)

    def _say(self, message: str, args: tuple[object, ...], *, traceback: bool) -> None:
        now = self._clock()
        if self._said_at is not None and now - self._said_at < self._seconds:
            self._left_out += 1
            return
        more = f" ({self._left_out} more like this were not logged)" if self._left_out else ""
        self._log.error(message + more, *args, exc_info=traceback)
        self._said_at, self._left_out = now, 0
