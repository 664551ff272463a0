"""How much SQLite writes to the disk: the frames of its write-ahead log, and the pages moved out of it."""

from __future__ import annotations

import contextlib
import os
import struct
from pathlib import Path

PAGE = 4096  # bytes
_FRAME = PAGE + 24  # bytes of a page in the log
_HEADER = 48  # bytes of the log's index header: "WAL-mode File Format", 2.1, in SQLite's documentation
_MX_FRAME, _SALT = 16, 32  # offsets in it: frames in the log (native u32); two numbers that change where it begins anew


class LogMeter:
    """Adds up what one process writes through the log of one database.

    The index of the log is opened once, and closed after the database: POSIX has a process lose all its locks on a file
    as soon as it closes any descriptor of it, and SQLite's locks are such. Without them whoever else opens the database
    (a backup, a look with sqlite3) takes itself for the first and cuts the index short, and the agent dies of SIGBUS.

    Args:
        path: the database.
    """

    def __init__(self, path: Path) -> None:
        self._index = path.with_name(path.name + "-shm")
        self._descriptor: int | None = None
        self._salt, self._frames = self._read() or (b"", 0)
        self.written = 0

    def look(self) -> None:
        """Count what came to the log since the last look; to be called after every transaction."""
        now = self._read()
        if now is None:  # the log is not kept in a file here; what is moved out of it is counted all the same
            return
        salt, frames = now
        self.written += max(0, frames - (self._frames if salt == self._salt else 0)) * _FRAME
        self._salt, self._frames = salt, frames

    def moved(self, pages: int) -> None:
        """Count pages that were moved from the log into the database."""
        self.written += pages * PAGE

    def close(self) -> None:
        """Let go of the index; to be called once the database is closed, for its locks go too. Twice is harmless."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _read(self) -> tuple[bytes, int] | None:
        """Salt of the log and frames in it."""
        with contextlib.suppress(OSError):
            if self._descriptor is None:
                self._descriptor = os.open(self._index, os.O_RDONLY | os.O_CLOEXEC)
            header = os.pread(self._descriptor, _HEADER, 0)
            if len(header) == _HEADER:
                (frames,) = struct.unpack_from("=I", header, _MX_FRAME)
                return header[_SALT : _SALT + 8], int(frames)
        return None
