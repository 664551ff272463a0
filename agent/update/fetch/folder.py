"""A repository in a folder: on a memory stick, a disk or a share. Whoever filled it is not trusted."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from agent.update.errors import WrongAnswerError
from agent.update.fetch.paths import parts_of
from agent.update.ports import Reply
from contracts.errors import NotThereError, ServerError

_CHUNK = 1 << 18  # bytes
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW


class FolderTransport:
    """Reads regular files below a folder, and nothing that a link in it leads to.

    Args:
        top: the folder with ``metadata``, ``targets`` and ``blobs``; it may be a link itself, and may be away for a
            while.
    """

    def __init__(self, top: Path) -> None:
        self._top = top

    def open(self, path: str, start: int = 0, tag: str | None = None) -> Reply:
        """Begin to read a file; see `agent.update.ports.Transport`."""
        descriptor = self._open(parts_of(path), path)
        try:
            found = os.fstat(descriptor)
            self._check_kind(found, path)
            now = f"{found.st_ino}-{found.st_size}-{found.st_mtime_ns}"
            if start > found.st_size or tag not in {None, now}:
                start = 0
            held = _Held(descriptor)
            return Reply(start, found.st_size, now, self._read(held, path, start, found.st_size), held.close)
        except BaseException:
            os.close(descriptor)
            raise

    def _open(self, parts: list[str], path: str) -> int:
        """Step by step, so that no folder on the way can be a link either."""
        try:
            here = os.open(self._top, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
        except OSError as error:
            do = "plug it in, or give another folder"
            raise ServerError(str(self._top), f"cannot be opened ({error.strerror})", do) from error
        try:
            for part in parts[:-1]:
                below = os.open(part, _FLAGS | os.O_DIRECTORY, dir_fd=here)
                os.close(here)
                here = below
            # Opening a device can do something already, so look first; without O_NONBLOCK a FIFO would be waited for.
            self._check_kind(os.stat(parts[-1], dir_fd=here, follow_symlinks=False), path)
            return os.open(parts[-1], _FLAGS | os.O_NONBLOCK | os.O_NOCTTY, dir_fd=here)
        except OSError as error:
            raise self._error(path, error) from error
        finally:
            os.close(here)

    def _read(self, held: _Held, path: str, start: int, size: int) -> Iterator[bytes]:
        while start < size:
            try:
                chunk = held.read(start, min(_CHUNK, size - start))
            except OSError as error:
                raise self._error(path, error) from error
            if not chunk:
                problem = f"expected {size} bytes of {path}, got {start}"
                raise ServerError(str(self._top), problem, "leave it alone while it is read")
            start += len(chunk)
            yield chunk

    def _check_kind(self, found: os.stat_result, path: str) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise self._no_file(path)

    def _no_file(self, path: str) -> ServerError:
        problem = f"expected a file at {path}, got a link, a folder or a device"
        return WrongAnswerError(str(self._top), problem, "copy the repository to it anew")

    def _error(self, path: str, error: OSError) -> ServerError:
        top = str(self._top)
        if error.errno == errno.ENOENT:
            return NotThereError(top, f"there is no {path}", "copy the whole repository to it")
        if error.errno in {errno.ELOOP, errno.ENOTDIR, errno.ENXIO}:  # a link, a file as a folder, a socket
            return self._no_file(path)
        return ServerError(top, f"{path} cannot be read ({error.strerror})", "plug it in again, or copy it anew")


class _Held:
    """An open file; closing it twice is harmless."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def read(self, start: int, amount: int) -> bytes:
        if self._descriptor is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return os.pread(self._descriptor, amount, start)

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
