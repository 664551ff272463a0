"""What a process takes of memory."""

from __future__ import annotations

from pathlib import Path


def peak_mb() -> float:
    """Peak resident memory of this process, MB of 10^6 bytes.

    From VmHWM: getrusage's figure also holds the parent's memory from before the program was started.
    """
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6
