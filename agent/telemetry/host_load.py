"""Use of processor and memory, from /proc; proc_stat(5), proc_meminfo(5)."""

from __future__ import annotations

import re
from pathlib import Path

from agent.telemetry.reading import Reading
from agent.telemetry.sysfs import text

_KIB_IN_MB = 1024e-6
_IDLE = (3, 4)  # the columns `idle` and `iowait`
_COLUMNS = 8  # up to `steal`; guests' time behind it is in the first two already


class HostLoad:
    """The box's.

    Args:
        proc: the folder.
    """

    def __init__(self, proc: Path) -> None:
        self._proc = proc
        self._before: tuple[int, int] | None = None

    @classmethod
    def find(cls, root: Path) -> HostLoad | None:
        """That of any Linux."""
        proc = root / "proc"
        return cls(proc) if (proc / "stat").exists() or (proc / "meminfo").exists() else None

    def read(self, now: float) -> Reading:
        """See `Reader.read`. Ticks are compared with ticks, so that no clock is needed."""
        del now
        before, self._before = self._before, _ticks(text(self._proc / "stat"))
        meminfo = text(self._proc / "meminfo")
        total, available = _field(meminfo, "MemTotal"), _field(meminfo, "MemAvailable")
        used = None if total is None or available is None or available > total else round(total - available, 1)
        return Reading(cpu_load=_load(before, self._before), memory_used_mb=used, memory_mb=total)


def _ticks(stat: str) -> tuple[int, int] | None:
    """Ticks of all processors since the start: busy, and in all."""
    match = re.match(r"cpu +((?:[0-9]{1,18} ?){5,12})\n", stat)
    if match is None:
        return None
    columns = [int(column) for column in match[1].split()][:_COLUMNS]
    return sum(columns) - sum(columns[place] for place in _IDLE), sum(columns)


def _load(before: tuple[int, int] | None, after: tuple[int, int] | None) -> float | None:
    """The busy share between two readings; iowait may fall, so it is kept within 0 and 1."""
    if before is None or after is None or after[1] <= before[1]:
        return None
    return round(min(1.0, max(0.0, (after[0] - before[0]) / (after[1] - before[1]))), 3)


def _field(meminfo: str, field: str) -> float | None:
    match = re.search(rf"^{field}: +([0-9]{{1,15}}) kB$", meminfo, re.MULTILINE)
    return round(int(match[1]) * _KIB_IN_MB, 1) if match else None
