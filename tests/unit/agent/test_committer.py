"""A slow disk delays commits and no window's end; a fault of the disk's thread is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import cast

import pytest

from agent.committer import Committer
from agent.counting.window import WindowCounts
from agent.ledger import Ledger
from agent.timings import Timings
from contracts.messages import Window

PATIENCE = 30.0  # seconds


def windows(number: int, newest: float | None = None) -> list[WindowCounts]:
    window = Window(start=str(number), end=str(number + 1))
    return [WindowCounts("gate", window, 0, {}, 0.0, "stale", None, {}, {}, newest=newest)]


class SlowLedger:
    """Commits nothing until its disk is let go, and refuses as often as it is told."""

    def __init__(self, fault: Exception | None = None, refusals: int = 0) -> None:
        self.disk = threading.Event()
        self.came: list[str] = []
        self.windows_held = 2
        self._fault = fault
        self._refusals = refusals

    def commit(self, committed: Sequence[WindowCounts], cameras: object = None) -> bool:
        del cameras
        assert self.disk.wait(PATIENCE)
        if self._fault:
            raise self._fault
        self.came += [one.window.start for one in committed]
        self._refusals -= 1
        return self._refusals < 0


def test_submitting_does_not_wait_for_the_disk_and_keeps_the_order() -> None:
    ledger, told = SlowLedger(), []
    committer = Committer(cast("Ledger", ledger), lambda: told.append(len(ledger.came)), Timings())
    for number in range(5):
        committer.submit(windows(number))
    assert ledger.came == []
    ledger.disk.set()
    committer.close(PATIENCE)
    assert ledger.came == ["0", "1", "2", "3", "4"]
    assert told == [1, 2, 3, 4, 5]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # `ThreadFaults` hears of it
def test_a_fault_ends_the_thread_and_is_told_to_who_submits_next_and_to_who_closes() -> None:
    ledger = SlowLedger(ValueError("a total fell"))
    committer = Committer(cast("Ledger", ledger), lambda: None, Timings())
    committer.submit(windows(1))
    ledger.disk.set()
    with pytest.raises(ValueError, match="a total fell"):
        committer.close(PATIENCE)
    with pytest.raises(ValueError, match="a total fell"):
        committer.submit(windows(2))
    committer.close(PATIENCE)  # again, as the daemon does: told once


def test_windows_that_the_disk_did_not_take_are_said_to_be_lost(caplog: pytest.LogCaptureFixture) -> None:
    ledger = SlowLedger()
    committer = Committer(cast("Ledger", ledger), lambda: None, Timings())
    committer.submit(windows(1))
    committer.submit(windows(2))
    committer.close(0.0)
    ledger.disk.set()
    assert "windows; they are lost" in caplog.text


def test_windows_that_wait_for_a_slow_disk_are_known() -> None:
    ledger = SlowLedger()
    committer = Committer(cast("Ledger", ledger), lambda: None, Timings())
    for number in range(4):
        committer.submit(windows(number))
    assert committer.windows_held in {3 + ledger.windows_held, 4 + ledger.windows_held}  # one may be with the ledger
    ledger.disk.set()
    committer.close(PATIENCE)
    assert committer.windows_held == ledger.windows_held


def test_a_report_is_as_old_as_its_newest_frame_when_the_disk_has_taken_it() -> None:
    ledger, timings = SlowLedger(refusals=1), Timings()
    ledger.disk.set()
    committer = Committer(cast("Ledger", ledger), lambda: None, timings)
    now = time.monotonic()
    committer.submit(windows(1, now - 100.0))  # refused: it is published with the next one
    committer.submit(windows(2, now - 10.0))
    committer.submit(windows(3))  # no frame was counted: it has no age
    committer.close(PATIENCE)
    oldest, newest = timings.samples("published")
    assert oldest - newest == pytest.approx(90.0)
    assert newest >= 10.0
