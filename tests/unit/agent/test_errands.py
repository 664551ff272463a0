"""What another thread wants done is done by the daemon's own, or said not to be."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from agent.errands import AgentEndsError, Errands

PATIENCE = 30.0  # seconds


class Daemon:
    """The thread that does errands: whoever calls `turn`."""

    def __init__(self) -> None:
        self.woken = threading.Semaphore(0)
        self.errands = Errands(self.woken.release)

    def turn(self) -> None:
        assert self.woken.acquire(timeout=PATIENCE)
        self.errands.turn()


class Asking:
    def __init__(self, errands: Errands, work: Callable[[], object]) -> None:
        self.answer: object = None
        self._thread = threading.Thread(target=self._ask, args=(errands, work), daemon=True)
        self._thread.start()

    def wait(self) -> object:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return self.answer

    def _ask(self, errands: Errands, work: Callable[[], object]) -> None:
        try:
            self.answer = errands.run(work)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.answer = error


def test_an_errand_is_done_by_the_thread_that_turns_and_its_result_comes_back() -> None:
    daemon = Daemon()
    asking = Asking(daemon.errands, threading.get_ident)
    daemon.turn()
    assert asking.wait() == threading.get_ident()


def test_what_an_errand_raises_comes_back_and_the_next_one_is_done() -> None:
    daemon = Daemon()
    failing = Asking(daemon.errands, lambda: 1 // 0)
    daemon.turn()
    assert isinstance(failing.wait(), ZeroDivisionError)
    next_one = Asking(daemon.errands, lambda: 5)
    daemon.turn()
    assert next_one.wait() == 5


def test_who_waits_when_the_agent_ends_is_told_so_and_nothing_is_done() -> None:
    daemon, done = Daemon(), []
    asking = Asking(daemon.errands, lambda: done.append(1))
    assert daemon.woken.acquire(timeout=PATIENCE)
    daemon.errands.close()
    daemon.errands.close()
    daemon.errands.turn()
    assert isinstance(asking.wait(), AgentEndsError)
    assert not done


def test_who_asks_after_the_end_does_not_wait() -> None:
    errands = Daemon().errands
    errands.close()
    with pytest.raises(AgentEndsError, match="ask again"):
        errands.run(lambda: None)
