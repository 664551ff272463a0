"""The verified metadata and the floors on disk. One process at a time may write: who holds the state directory."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from agent.disk import Disk
from agent.records import RecordDamagedError, Records
from agent.update.errors import UpdateError, storage_problem
from agent.update.trust.rules import Floors, newest
from contracts.errors import StorageError

_log = logging.getLogger(__name__)

_COPIES = ("floors", "floors-beside")


class TrustStore:
    """What is kept of the metadata of a repository.

    Args:
        metadata: the folder of the metadata files.
        floors: the folder of the floors; another one, so that nobody removes both by clearing a cache.
    """

    def __init__(self, metadata: Disk, floors: Disk) -> None:
        self._metadata = metadata
        self._floors_disk = floors
        self._records = Records(floors)

    @classmethod
    def under(cls, state_dir: Path) -> TrustStore:
        """The store of a state directory."""
        return cls(Disk(state_dir / "update/metadata"), Disk(state_dir / "update/trust"))

    def floors(self) -> Floors:
        """The floors; empty ones where nothing was ever taken.

        Raises:
            UpdateError: no copy of them can be read.
        """
        self._records.settle()
        damage: list[str] = []
        copies = [copy for name in _COPIES if (copy := self._copy(name, damage)) is not None]
        if damage and not copies:
            # A power cut leaves a whole copy; so to begin from nothing here would be to believe a broken disk.
            raise UpdateError(
                "storage",
                f"older metadata cannot be told from newer, as {' and '.join(damage)} in "
                f"{self._floors_disk.directory}; check the disk, then remove that folder: the next metadata is "
                "trusted from the root on",
            )
        if damage:
            _log.warning("%s in %s; its other copy is used", damage[0], self._floors_disk.directory)
        return newest(copies)

    def _copy(self, name: str, damage: list[str]) -> Floors | None:
        try:
            return self._records.read(name, Floors)
        except RecordDamagedError as error:
            damage.append(str(error))
            return None

    def write_floors(self, floors: Floors) -> None:
        """Keep the floors, in both copies.

        Raises:
            UpdateError: they could not be written.
        """
        try:
            for name in _COPIES:
                self._records.write(name, floors)
        except StorageError as error:
            raise storage_problem(error) from error

    def read(self, name: str) -> bytes | None:
        """A metadata file as it was kept; None where it is not there or cannot be read, for then it is fetched."""
        try:
            return self._metadata.read(name)
        except OSError as error:
            _log.warning("%s in %s cannot be read (%s)", name, self._metadata.directory, error.strerror)
            return None

    def keep(self, files: Mapping[str, bytes]) -> None:
        """Have metadata files safely on the disk: roots from the oldest on, the timestamp last.

        Raises:
            UpdateError: one could not be written.
        """
        try:
            for name in sorted(files, key=_order):
                self._metadata.replace(name, files[name])
        except StorageError as error:
            raise storage_problem(error) from error


def _order(name: str) -> tuple[int, int]:
    first, _, rest = name.partition(".")
    if rest == "root.json" and first.isdecimal():
        return 0, int(first)
    return (2 if name == "timestamp.json" else 1), 0
