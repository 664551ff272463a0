"""What is noted of the agent while it soaks."""

from __future__ import annotations

import os
from pathlib import Path

from contracts.documents import MachineModel


class Sample(MachineModel):
    """How the process was at one moment.

    Attributes:
        at: monotonic seconds.
        rss_mb: resident memory, MB of 10^6 bytes.
        files: open file descriptors.
        threads: of the process, the runtime's own too.
        frames: counted since the start, of all cameras.
        windows: closed since the start, of all cameras.
        reconnects: how often cameras came back.
        steady_frames: of the camera that is never lost; its crossings are known frame by frame.
        crossed: in and out of its line in the store; known after the end only.
        waiting: reports in the store; known after the end only.
    """

    at: float
    rss_mb: float
    files: int
    threads: int
    frames: int
    windows: int
    reconnects: int
    steady_frames: int
    crossed: tuple[int, int] | None = None
    waiting: int | None = None


def resident_mb() -> float:
    """Resident memory of this process, MB of 10^6 bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def open_files() -> int:
    """Open file descriptors of this process; the one that lists them is not among them."""
    return len(os.listdir("/proc/self/fd")) - 1  # noqa: PTH208 - iterating a Path keeps no fewer open


def all_threads() -> int:
    """Threads of this process."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Threads:"))
    return int(line.split()[1])
