"""The operations on the disk that the shelf consists of: small, so that tests can end the world between any two."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.store.database import sync_directory
from agent.update.errors import UpdateError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV})


@dataclass(frozen=True)
class Found:
    """What has a name.

    Args:
        folder: whether it is a folder.
        size: bytes.
        links: names that the file has.
        file: what tells it from every other file.
    """

    folder: bool
    size: int
    links: int
    file: int


class ShelfDisk:
    """Files and folders below a folder; a name is relative to it, with ``/``. No operation follows a link.

    Args:
        top: the folder.
    """

    def __init__(self, top: Path) -> None:
        self.top = top

    def path(self, name: str) -> Path:
        """Where it is."""
        return self.top / name

    def look(self, name: str) -> Found | None:
        """What has that name, None where nothing has."""
        try:
            found = os.lstat(self.path(name))
        except (FileNotFoundError, NotADirectoryError):
            return None
        return Found(stat.S_ISDIR(found.st_mode), found.st_size, found.st_nlink, found.st_ino)

    def names(self, folder: str) -> list[str]:
        """What is in a folder, sorted; nothing where there is no such folder."""
        try:
            return sorted(path.name for path in self.path(folder).iterdir())
        except FileNotFoundError:
            return []

    def free(self) -> int:
        """Bytes that an ordinary user may still write."""
        found = os.statvfs(self.top)
        return found.f_bavail * found.f_frsize

    def read(self, name: str, start: int, amount: int) -> bytes:
        """Some bytes of a file; fewer only at its end."""
        with _opened(self.path(name), os.O_RDONLY) as descriptor:
            return os.pread(descriptor, amount, start)

    def make(self, folder: str) -> None:
        """Make a folder that a power cut does not take away again; harmless where it is there."""
        path = self.path(folder)
        if not path.is_dir():
            path.mkdir(parents=True, exist_ok=True)
            sync_directory(path.parent)

    def reserve(self, name: str, size: int) -> None:
        """Have a file of exactly that size, and room on the disk for all of it; what it held, it holds still."""
        with _opened(self.path(name), os.O_WRONLY | os.O_CREAT) as descriptor:
            os.ftruncate(descriptor, min(size, os.fstat(descriptor).st_size))
            if size:
                os.posix_fallocate(descriptor, 0, size)

    def cut(self, name: str, size: int) -> None:
        """Take away what is behind the first ``size`` bytes."""
        with _opened(self.path(name), os.O_WRONLY) as descriptor:
            os.ftruncate(descriptor, size)

    def put(self, name: str, start: int, data: bytes) -> None:
        """Write into a file; nothing of it needs to be on the disk before `sync`."""
        with _opened(self.path(name), os.O_WRONLY) as descriptor:
            _write(descriptor, start, data)

    def write(self, name: str, data: bytes) -> None:
        """Write a small file anew; nothing of it needs to be on the disk before `sync`."""
        with _opened(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as descriptor:
            _write(descriptor, 0, data)

    def sync(self, name: str) -> None:
        """Have a file's bytes on the disk."""
        with _opened(self.path(name), os.O_RDONLY) as descriptor:
            os.fsync(descriptor)

    def sync_names(self, folder: str) -> None:
        """Have a folder's names on the disk."""
        sync_directory(self.path(folder))

    def rename(self, old: str, new: str) -> None:
        """Give a file or folder another name, replacing a file that has it."""
        self.path(old).replace(self.path(new))

    def link(self, name: str, second: str) -> None:
        """Give a file a second name, which nothing may have."""
        os.link(self.path(name), self.path(second), follow_symlinks=False)

    def remove(self, name: str) -> None:
        """Take a name away from a file; harmless where nothing has it."""
        self.path(name).unlink(missing_ok=True)

    def remove_folder(self, name: str) -> None:
        """Remove an empty folder."""
        self.path(name).rmdir()


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write(descriptor: int, start: int, data: bytes) -> None:
    while data:
        written = os.pwrite(descriptor, data, start)
        start, data = start + written, data[written:]


@contextlib.contextmanager
def disk_errors(disk: ShelfDisk) -> Iterator[None]:
    """Turns what the disk says into what ends an attempt."""
    try:
        yield
    except OSError as error:
        said = error.strerror or str(error)
        if error.errno in _FULL:
            do = "free some space, or move the state directory to a larger disk"
            raise UpdateError("no_space", f"the disk below {disk.top} is full ({said}); {do}") from error
        do = "see whether the disk is mounted writable and well"
        if error.errno in _NO_LINKS:
            do = "the state directory must be on a file system with hard links (ext4, xfs, btrfs, f2fs)"
        raise UpdateError("storage", f"cannot change {disk.top} ({said}); {do}") from error
