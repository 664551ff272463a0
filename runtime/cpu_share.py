"""Which share of a processor a measurement had: on a box that does other things too, time alone says little.

The kernel tells of every thread how long it ran and how long it was ready to and had to wait (schedstat; Linux,
Documentation/scheduler/sched-stats.rst). A rate divided by the share is about what it would be with nothing beside it:
exact for threads that do not wait for one another, somewhat too low for those that do.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import NamedTuple

_TASKS = Path("/proc/self/task")


class _Times(NamedTuple):
    """Nanoseconds that a thread ran, and that it waited for a processor."""

    ran: int
    waited: int


class CpuShare:
    """The share since it was made, over all threads that were there then and those that call `note`."""

    def __init__(self) -> None:
        self._before = _all_threads()
        self._noted: dict[int, tuple[_Times, _Times]] = {}

    def note(self) -> None:
        """To be called by a thread that may end before `share` is asked for: when it begins, and later again."""
        now = _read(Path("/proc/thread-self/schedstat"))
        if now is not None:
            number = threading.get_native_id()
            self._noted[number] = (self._noted.get(number, (now, now))[0], now)

    def share(self) -> float | None:
        """More than 0, at most 1; None where the kernel does not tell."""
        after = _all_threads()
        spans = [(self._before[number], after[number]) for number in self._before.keys() & after.keys()]
        spans += [span for number, span in self._noted.items() if number not in self._before]
        ran = sum(end.ran - begin.ran for begin, end in spans)
        waited = sum(end.waited - begin.waited for begin, end in spans)
        return ran / (ran + waited) if ran > 0 else None


def _all_threads() -> dict[int, _Times]:
    try:
        numbers = [int(folder.name) for folder in _TASKS.iterdir()]
    except OSError:
        return {}
    found = {number: _read(_TASKS / str(number) / "schedstat") for number in numbers}
    return {number: times for number, times in found.items() if times is not None}


def _read(path: Path) -> _Times | None:
    try:
        ran, waited, *_ = path.read_text(encoding="ascii").split()
        return _Times(int(ran), int(waited))
    except (OSError, ValueError):
        return None
