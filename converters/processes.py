"""How a child process ended, in the words of an error. Pure."""

from __future__ import annotations

import signal

SHOWN = 300  # characters of a process's last line that an error repeats


def signal_name(number: int) -> str:
    """``SIGKILL`` for 9; ``signal 99`` where it has no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def last_line(stderr: bytes) -> str:
    """The last line of a process's output that says something, cut; empty where none does.

    Args:
        stderr: whatever it wrote, in whatever encoding.
    """
    lines = reversed(stderr.decode(errors="replace").splitlines())
    return next((line.strip()[:SHOWN] for line in lines if line.strip()), "")
