"""One agent a state directory: two writers would number the same reports twice."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from contracts.errors import DeviceError, StorageError

_NAME = "agent.lock"
_LONGEST = 32  # characters of the file that are read to say who holds it


class StateInUseError(DeviceError):
    """Another agent runs on the same state directory.

    Args:
        directory: the state directory.
        holder: the process that holds it, or an empty string where it does not say.
    """

    def __init__(self, directory: Path, holder: str) -> None:
        who = f"another agent (pid {holder})" if holder else "another agent"
        super().__init__(f"{directory} is in use by {who}; stop that one, or give this one its own 'state_dir'")


class DirectoryLock:
    """Holds a directory until closed or until the process ends, however it ends.

    Args:
        directory: an existing folder.

    Raises:
        StateInUseError: another process holds it.
        StorageError: the lock file cannot be written.
    """

    def __init__(self, directory: Path) -> None:
        path = directory / _NAME
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise StorageError(str(path), error) from error
        try:
            self._take(directory, path)
        except BaseException:
            os.close(self._file)
            raise

    def close(self) -> None:
        """Let go of it; twice is harmless."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _take(self, directory: Path, path: Path) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateInUseError(directory, self._holder()) from None
        try:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, str(os.getpid()).encode(), 0)
        except OSError as error:
            raise StorageError(str(path), error) from error

    def _holder(self) -> str:
        text = os.pread(self._file, _LONGEST, 0).decode("ascii", "replace").strip()
        return text if text.isdigit() else ""
