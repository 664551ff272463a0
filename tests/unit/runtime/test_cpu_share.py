"""The share of a processor is read from what the kernel counts; where it does not count, nothing is claimed."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from runtime import cpu_share
from runtime.cpu_share import CpuShare


class Threads:
    """A stand-in for /proc/self/task."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._root = root
        monkeypatch.setattr(cpu_share, "_TASKS", root)

    def say(self, number: int, text: str) -> None:
        folder = self._root / str(number)
        folder.mkdir(exist_ok=True)
        (folder / "schedstat").write_text(text)


@pytest.fixture
def threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Threads:
    return Threads(tmp_path, monkeypatch)


def test_it_is_what_ran_of_what_wanted_to_since_it_was_made(threads: Threads) -> None:
    threads.say(1, "1000 5000 7\n")
    threads.say(2, "0 0 0\n")
    share = CpuShare()
    threads.say(1, "1300 5100 9\n")
    threads.say(2, "300 100 1\n")
    assert share.share() == 600 / 800


def test_a_thread_that_began_or_ended_meanwhile_counts_only_where_it_noted_itself(threads: Threads) -> None:
    threads.say(1, "0 0 0\n")
    threads.say(2, "0 0 0\n")
    share = CpuShare()
    threads.say(1, "100 0 1\n")
    threads.say(3, "0 9999 1\n")
    assert share.share() == 1.0


@pytest.mark.parametrize("text", ["", "x y z", "5"])
def test_what_cannot_be_read_is_not_claimed(threads: Threads, text: str) -> None:
    threads.say(1, text)
    share = CpuShare()
    assert share.share() is None


def test_where_nothing_ran_there_is_no_share(threads: Threads) -> None:
    threads.say(1, "100 0 1\n")
    assert CpuShare().share() is None


def test_the_kernel_s_own_figures_add_up() -> None:
    """A thread that works and ends is in it, by what it noted."""
    share = CpuShare()
    if not cpu_share._all_threads():
        pytest.skip("this kernel has no schedstat")

    def work() -> None:
        share.note()
        begun = time.thread_time()
        while time.thread_time() - begun < 0.02:
            pass
        share.note()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    found = share.share()
    assert found is not None
    assert 0 < found <= 1
    assert len(share._noted) == 1
