"""The end of the agent has one deadline, so that parts which hang do not add up to more than a service manager waits.

systemd kills after 90 s (TimeoutStopSec); nothing that ends in order may come to that.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import NoReturn

_log = logging.getLogger(__name__)

END_SECONDS = 50.0
"""For all that ends, one part after the other."""

LAST_RESORT_SECONDS = 60.0
"""After which the process is ended, whatever hangs in it."""

# Shares of the whole: the most that one gets, and what is kept of it for those that come after.
_PART, _FOR_DISK = 0.2, 0.5
_DISK, _FOR_GOODBYE = 0.6, 0.24
_GOODBYE, _FOR_REST = 0.2, 0.04
_REST = 0.1

_LAST_WORDS = 2.0  # seconds; also who reads what is written there may hang


class Ending:
    """How long each part gets that is waited for; together no more than there is. Any thread may ask.

    It begins with the first question, or before it with `begin`.

    Args:
        seconds: for all together.
        clock: monotonic seconds.

    Attributes:
        begun: called once it begins, by who begins it; it must not wait.
    """

    def __init__(self, seconds: float = END_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self.begun: Callable[[], object] = lambda: None
        self._seconds = seconds
        self._clock = clock
        self._until: float | None = None

    def begin(self) -> None:
        """Time runs from now on; twice is harmless. A signal's handler may call it."""
        if self._until is None:
            self._until = self._clock() + self._seconds
            self.begun()

    def part(self) -> float:
        """Seconds for a camera, a model or the like, all of the kind together."""
        return self._left(_PART, _FOR_DISK)

    def disk(self) -> float:
        """Seconds for what has to come to the disk."""
        return self._left(_DISK, _FOR_GOODBYE)

    def goodbye(self) -> float:
        """Seconds for the broker to take what waits, and that this box leaves."""
        return self._left(_GOODBYE, _FOR_REST)

    def rest(self) -> float:
        """Seconds for a part that nothing is lost with."""
        return self._left(_REST, 0.0)

    def _left(self, most: float, kept: float) -> float:
        self.begin()
        assert self._until is not None
        return max(0.0, min(most * self._seconds, self._until - self._clock() - kept * self._seconds))


class LastResort:
    """Ends the process where its end does not come: by then nothing is left that could be waited for.

    Args:
        seconds: from `begin` on.
        leave: ends the process.
    """

    def __init__(self, seconds: float = LAST_RESORT_SECONDS, leave: Callable[[float], object] | None = None) -> None:
        self._seconds = seconds
        self._leave = leave or _leave
        self._begun = threading.Event()
        threading.Thread(target=self._watch, name="last-resort", daemon=True).start()

    def begin(self) -> None:
        """The end begins; twice is harmless. A signal's handler may call it."""
        self._begun.set()

    def _watch(self) -> None:
        self._begun.wait()
        time.sleep(self._seconds)
        self._leave(self._seconds)


def _leave(seconds: float) -> NoReturn:
    words = threading.Thread(target=_say_where, args=(seconds,), daemon=True)
    words.start()
    words.join(_LAST_WORDS)
    os._exit(1)


def _say_where(seconds: float) -> None:
    faulthandler.dump_traceback(all_threads=True)  # first, for a lock of logging's may be what hangs
    _log.critical("the agent did not end within %g s and is ended; where each of its threads was stands above", seconds)
