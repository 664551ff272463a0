"""A thread that a fault ended: what it did would be missing from then on, and only the log would know."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType

from typing_extensions import Self

_log = logging.getLogger(__name__)


class ThreadFaults:
    """Hears of every thread that ends by an exception while it is entered.

    The parts survive what they can foresee by themselves; this is for what is left: a bug outside of their own nets,
    or what an extension raises that is no `Exception`.

    Args:
        noticed: called after each, by the thread that ends; it must not wait.
    """

    def __init__(self, noticed: Callable[[], object]) -> None:
        self._noticed = noticed
        self._before = threading.excepthook
        self.first: str | None = None

    def __enter__(self) -> Self:
        """Begin to hear."""
        self._before, threading.excepthook = threading.excepthook, self._note
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Hear no more."""
        threading.excepthook = self._before

    def raise_first(self) -> None:
        """Raise where a thread was ended.

        Raises:
            RuntimeError: names the first one; its traceback is in the log, without credentials.
        """
        if self.first is not None:
            raise RuntimeError(f"a fault ended the thread {self.first}; its traceback is in the log")

    def _note(self, ended: threading.ExceptHookArgs) -> None:
        name = ended.thread.name if ended.thread is not None else "unknown"
        self.first = self.first or name
        fault = ended.exc_value
        told = (ended.exc_type, fault, ended.exc_traceback) if fault is not None else None
        _log.critical("a fault ended the thread %s; the agent ends, to be started again", name, exc_info=told)
        self._noticed()
