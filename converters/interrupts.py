"""Ctrl-C and SIGTERM end a build, wherever they arrive.

What a signal handler raises is lost where Python has to ignore exceptions: in the callbacks of weak references, which
run by the dozen while packages are imported. So it is remembered, and raised again where the next step begins.
"""

from __future__ import annotations

import signal
from types import FrameType

from converters.request import Progress

_SIGNALLED = 128  # exit code of a process that a signal ended, as shells count


class Interrupts:
    """The signals that ask a build to end."""

    def __init__(self) -> None:
        self._received: int | None = None

    def install(self) -> None:
        """Take SIGINT and SIGTERM; to be called by the main thread."""
        signal.signal(signal.SIGINT, self._receive)
        signal.signal(signal.SIGTERM, self._receive)

    def watched(self, progress: Progress) -> Progress:
        """The same progress, which ends the build where a signal was received before."""

        def step(what: str, done: int, total: int) -> None:
            self._raise()
            progress(what, done, total)

        return step

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        self._received = number
        self._raise()

    def _raise(self) -> None:
        if self._received == signal.SIGINT:
            raise KeyboardInterrupt
        if self._received is not None:
            raise SystemExit(_SIGNALLED + self._received)
