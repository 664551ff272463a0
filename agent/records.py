"""Small documents on disk; each has its digest in its first line, so that one cut short or overwritten is told."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from typing import TypeVar

from pydantic import ValidationError

from agent.disk import Disk
from contracts.documents import MachineModel
from contracts.errors import DeviceError, StorageError

_log = logging.getLogger(__name__)

_MAGIC = "edgetally-record-1"
_Model = TypeVar("_Model", bound=MachineModel)


class RecordDamagedError(DeviceError):
    """A record cannot be used; the text begins with its name."""


class Records:
    """The records of a folder. One process at a time may write: who holds the state directory.

    Args:
        disk: where they are.
    """

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def settle(self) -> None:
        """Have on the disk what is there: nothing that a start believed may be undone by a power cut after it."""
        try:
            self._disk.sync_names()
        except FileNotFoundError:  # nothing was ever kept
            return
        except OSError as error:
            _log.error("%s", StorageError(str(self._disk.directory), error))

    def write(self, name: str, record: MachineModel) -> None:
        """Replace a record: whole or not at all.

        Raises:
            StorageError: it could not be written; the one before is there.
        """
        body = json.dumps(record.model_dump(mode="json"), ensure_ascii=False).encode()
        data = f"{_MAGIC} {hashlib.sha256(body).hexdigest()}\n".encode() + body
        try:
            self._disk.replace(name, data)
        except StorageError as error:
            if not self._holds(name, data):
                raise
            # It would be there after a restart, so to say that it was not kept would be wrong.
            _log.error("%s; it is there all the same, but a power cut may undo it", error)

    def read(self, name: str, model: type[_Model]) -> _Model | None:
        """A record; None where there never was one.

        Raises:
            RecordDamagedError: it cannot be read, is damaged, or is of another version.
        """
        try:
            data = self._disk.read(name)
        except OSError as error:
            raise RecordDamagedError(f"{name} cannot be read ({error.strerror})") from error
        if data is None:
            return None
        head, _, body = data.partition(b"\n")
        if head != f"{_MAGIC} {hashlib.sha256(body).hexdigest()}".encode():
            raise RecordDamagedError(f"{name} is damaged")
        try:
            return model.model_validate_json(body)
        except ValidationError:
            raise RecordDamagedError(f"{name} is of another version") from None

    def _holds(self, name: str, data: bytes) -> bool:
        with contextlib.suppress(OSError):
            return self._disk.read(name) == data
        return False
