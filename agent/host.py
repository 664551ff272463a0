"""Small things that only the operating system knows; what it does not tell is None."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
from collections.abc import Callable
from pathlib import Path

_TIMEX_BYTES = 256  # struct timex has 208 bytes on 64-bit Linux; adjtimex(2)
_TIME_ERROR = 5  # "the system clock is not synchronized to a reliable server", adjtimex(2)


def clock_synced() -> bool | None:
    """Whether the kernel holds the wall clock to be synchronised (adjtimex(2))."""
    adjtimex = _adjtimex()
    if adjtimex is None:
        return None
    state = adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return None if state < 0 else state != _TIME_ERROR


@functools.cache
def _adjtimex() -> Callable[[object], int] | None:
    """The C library's; looked up once, for every look-up makes classes that only the collector takes away again."""
    try:
        adjtimex: Callable[[object], int] = ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):
        return None
    return adjtimex


def resident_mb() -> float | None:
    """Resident memory of this process, in MB of 10^6 bytes."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return None
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def give_back_memory() -> None:
    """Have the C library return what it holds for nothing to the system (malloc_trim(3)); only glibc's does.

    Runtimes allocate a model in pieces between which others live on, so that what they free stays with the process:
    over 100 MB after 30 swaps of a small model (docs/adr/0008-models-are-swapped-in-one-process.md).
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
