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

    Args:
        path: the database.
    """

    def __init__(self, path: Path) -> None:
        self._index = path.with_name(path.name + "-shm")
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

    def _read(self) -> tuple[bytes, int] | None:
        """Salt of the log and frames in it."""
        with contextlib.suppress(OSError):
            descriptor = os.open(self._index, os.O_RDONLY)
            try:
                header = os.pread(descriptor, _HEADER, 0)
            finally:
                os.close(descriptor)
            if len(header) == _HEADER:
                (frames,) = struct.unpack_from("=I", header, _MX_FRAME)
                return header[_SALT : _SALT + 8], int(frames)
        return None
