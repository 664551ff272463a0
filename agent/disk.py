"""Files that are whole or not there: written beside, flushed to the disk, and renamed."""

from __future__ import annotations

import os
from pathlib import Path

from agent.store.database import make_directory, sync_directory
from contracts.errors import StorageError

_LARGEST = 8_388_608  # bytes; contracts.release.LARGEST_METADATA is below


class Disk:
    """A folder of small files; each of its methods but the last two is one operation on the disk.

    Args:
        directory: the folder; made with the first file.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def write(self, name: str, data: bytes) -> None:
        """Write a file; nothing of it needs to be on the disk before `sync`."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self.directory / name, flags, 0o600)  # a broker's password may be in it
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)

    def sync(self, name: str) -> None:
        """Have a file's bytes on the disk."""
        descriptor = os.open(self.directory / name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, replacing what has it."""
        (self.directory / old).replace(self.directory / new)

    def sync_names(self) -> None:
        """Have the folder's names on the disk."""
        sync_directory(self.directory)

    def make(self) -> None:
        """Make the folder."""
        make_directory(self.directory)

    def read(self, name: str) -> bytes | None:
        """A file's content, None where there is no such file.

        Raises:
            OSError: it cannot be read.
        """
        try:
            with (self.directory / name).open("rb") as file:
                return file.read(_LARGEST)
        except FileNotFoundError:
            return None

    def replace(self, name: str, data: bytes) -> None:
        """Replace a file: after a power cut at any moment it holds the old bytes or the new ones.

        Raises:
            StorageError: it holds the old ones, or the new ones that a power cut may still undo.
        """
        try:
            self.make()
            self.write(f"{name}.new", data)
            self.sync(f"{name}.new")
            self.rename(f"{name}.new", name)
            self.sync_names()
        except OSError as error:
            raise StorageError(str(self.directory / name), error) from error
