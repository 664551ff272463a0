"""The files of an identity on the disk: each whole or not there, for the owner of the state directory alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from agent.disk import Disk
from agent.provisioning.identity import FOLDER, RECORD, Provisioned
from agent.records import Records
from contracts.errors import StorageError

PENDING = "pending.key"
"""The key that a certificate was asked for, until the box is provisioned: asked again it is the same."""


class OwnedDisk(Disk):
    """A folder whose files belong to whom the state directory belongs, also where root writes them.

    Args:
        directory: the folder.
        owner: a path whose owner they get.
    """

    def __init__(self, directory: Path, owner: Path) -> None:
        super().__init__(directory)
        self._owner = owner

    def write(self, name: str, data: bytes) -> None:
        """Write a file; see `agent.disk.Disk.write`."""
        (self.directory / name).unlink(missing_ok=True)  # whatever stands there, nobody else has it open
        super().write(name, data)
        self._give(self.directory / name)

    def make(self) -> None:
        """Make the folder, which nobody else may look into."""
        if not self.directory.is_dir():
            super().make()
            if self.directory != self._owner:
                self.directory.chmod(0o700)
            self._give(self.directory)

    def _give(self, path: Path) -> None:
        if os.geteuid() == 0:
            status = self._owner.stat()
            os.chown(path, status.st_uid, status.st_gid, follow_symlinks=False)


class IdentityFolder:
    """What provisioning reads and writes.

    Args:
        state_dir: of the box.
        disk: makes the disk of a folder; the owner of the state directory has its files.
    """

    def __init__(self, state_dir: Path, disk: Callable[[Path, Path], Disk] = OwnedDisk) -> None:
        self.state = disk(state_dir, state_dir)
        self.own = disk(state_dir / FOLDER, state_dir)
        self._records = Records(self.own)

    @property
    def provisioned(self) -> Provisioned | None:
        """What there is; None where the box is not provisioned.

        Raises:
            RecordDamagedError: it cannot be read.
        """
        return self._records.read(RECORD, Provisioned)

    def prepare(self) -> None:
        """Make the folders.

        Raises:
            StorageError: they cannot be made.
        """
        try:
            self.state.make()
            self.own.make()
        except OSError as error:
            raise StorageError(str(self.own.directory), error) from error

    def keep(self, record: Provisioned) -> None:
        """Have the box be provisioned so.

        Raises:
            StorageError: it cannot be written; it is as before.
        """
        self._records.write(RECORD, record)

    def sweep(self, record: Provisioned) -> None:
        """Remove the files of identities before, and the key that was pending.

        Raises:
            StorageError: one cannot be removed.
        """
        needed = {RECORD, record.identity, record.broker_ca}
        try:
            for path in sorted(self.own.directory.iterdir()):
                if path.name not in needed and path.is_file():
                    path.unlink()
            self.own.sync_names()
        except OSError as error:
            raise StorageError(str(self.own.directory), error) from error
