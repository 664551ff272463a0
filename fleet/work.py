"""Work on the database beside the taking in of messages, in a thread of its own; any number of controllers share it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Protocol

from fleet.backoff import Backoff
from fleet.clock import Clock, wall_ms
from fleet.store.errors import DatabaseError

_log = logging.getLogger(__name__)

_FIRST_WAIT = 1.0  # seconds, after a failure
_LONGEST_WAIT = 60.0


class Task(Protocol):
    """Something that is done again and again, a small transaction at a time."""

    def turn(self, now_ms: int) -> bool:
        """Do some of it; whether more is to be done at once.

        Raises:
            DatabaseError: the database cannot be used now.
        """


class Worker:
    """Does tasks in turn until it is told to stop; one that fails waits, and holds up no other.

    Args:
        tasks: what is to be done.
        pause: seconds between two rounds in which nothing was left to do.
        clock: what tasks take the time from.
    """

    def __init__(self, tasks: Sequence[Task], pause: float = 0.5, clock: Clock = wall_ms) -> None:
        self._tasks = [_Waiting(task, clock) for task in tasks]
        self._pause = pause
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fleet-work", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the transaction under way."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            more = [task.turn() for task in self._tasks if not self._stop.is_set()]
            if not any(more):
                self._stop.wait(self._pause)


class _Waiting:
    """A task, and how long it waits after it failed."""

    def __init__(self, task: Task, clock: Clock) -> None:
        self._task = task
        self._clock = clock
        self._wait = Backoff(_FIRST_WAIT, _LONGEST_WAIT)

    def turn(self) -> bool:
        if not self._wait.is_over:
            return False
        try:
            more = self._task.turn(self._clock())
        except DatabaseError as error:
            _log.error("%s", error)
            self._wait.longer()
            return False
        except Exception:  # noqa: BLE001 - one task that fails for ever must not end the others
            _log.exception("%s failed, which is a fault of edgetally-fleet", type(self._task).__name__)
            self._wait.longer()
            return False
        self._wait.reset()
        return more
