"""What was taken, on disk: the document that should run, the last one that did, and the floors.

Each file has its digest in its first line, so that one that was cut short or overwritten is told from a good one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, ValidationError

from agent.remote.disk import Disk
from agent.remote.rules import Floors, highest
from contracts.documents import MachineModel
from contracts.errors import StorageError

_log = logging.getLogger(__name__)

_FOLDER = "remote"
_MAGIC = "edgetally-record-1"
FileName = Literal["current", "good", "floors", "page"]
_Model = TypeVar("_Model", bound=MachineModel)


class Record(MachineModel):
    """A document that was taken, and the floors as of then.

    ``document`` is the desired document as it came, out of its envelope; None where none is to run. While ``trial`` it
    is on probation, as it changes how the broker is reached; ``starts`` counts the starts of the agent in that time.
    """

    document: dict[str, object] | None = None
    floors: Floors = Field(default_factory=Floors)
    trial: bool = False
    starts: int = 0


class Page(MachineModel):
    """What was set on the local page."""

    keys: dict[str, object] = Field(default_factory=dict)


@dataclass(frozen=True)
class Kept:
    """What the disk holds.

    Args:
        current: what should run; what ran before where that was damaged.
        good: what ran before, and reached the broker.
        floors: the highest of all copies.
        page: what was set on the local page.
        damage: which files could not be used, and why; in words.
    """

    current: Record
    good: Record
    floors: Floors
    page: Mapping[str, object]
    damage: tuple[str, ...] = ()


class RemoteStore:
    """The files of remote configuration. One process at a time may write: who holds the state directory.

    Args:
        disk: where they are.
    """

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    @classmethod
    def under(cls, state_dir: Path) -> RemoteStore:
        """The store of a state directory."""
        return cls(Disk(state_dir / _FOLDER))

    def settle(self) -> None:
        """Have on the disk what is there: nothing that a start believed may be undone by a power cut after it."""
        try:
            self._disk.sync_names()
        except FileNotFoundError:  # nothing was ever kept
            return
        except OSError as error:
            _log.error("%s", StorageError(str(self._disk.directory), error))

    def load(self) -> Kept:
        """What the disk holds; a damaged file is passed over, and said."""
        damage: list[str] = []
        current = self._read("current", Record, damage)
        good = self._read("good", Record, damage)
        floors = self._read("floors", Floors, damage)
        page = self._read("page", Page, damage)
        top = highest(*(copy for copy in (floors, current and current.floors, good and good.floors) if copy), Floors())
        was_damaged = any(text.startswith("current ") for text in damage)
        if current is None and was_damaged and good is not None:
            current = good
        return Kept(current or Record(), good or Record(), top, page.keys if page else {}, tuple(damage))

    def write_floors(self, floors: Floors) -> None:
        """Keep the floors.

        Raises:
            StorageError: they could not be written.
        """
        self._write("floors", floors)

    def write_current(self, record: Record) -> None:
        """Keep what should run.

        Raises:
            StorageError: it could not be written.
        """
        self._write("current", record)

    def write_good(self, record: Record) -> None:
        """Keep what has run.

        Raises:
            StorageError: it could not be written.
        """
        self._write("good", record)

    def write_page(self, keys: Mapping[str, object]) -> None:
        """Keep what was set on the local page.

        Raises:
            StorageError: it could not be written.
        """
        self._write("page", Page(keys=dict(keys)))

    def _write(self, name: FileName, record: MachineModel) -> None:
        body = json.dumps(record.model_dump(mode="json"), ensure_ascii=False).encode()
        head = f"{_MAGIC} {hashlib.sha256(body).hexdigest()}\n".encode()
        try:
            self._disk.replace(name, head + body)
        except StorageError as error:
            if not self._holds(name, head + body):
                raise
            # It would be there after a restart, so to say that it was not kept would be wrong.
            _log.error("%s; it is there all the same, but a power cut may undo it", error)

    def _holds(self, name: FileName, data: bytes) -> bool:
        with contextlib.suppress(OSError):
            return self._disk.read(name) == data
        return False

    def _read(self, name: FileName, model: type[_Model], damage: list[str]) -> _Model | None:
        try:
            data = self._disk.read(name)
        except OSError as error:
            damage.append(f"{name} cannot be read ({error.strerror})")
            return None
        if data is None:
            return None
        head, _, body = data.partition(b"\n")
        if head != f"{_MAGIC} {hashlib.sha256(body).hexdigest()}".encode():
            damage.append(f"{name} is damaged")
            return None
        try:
            return model.model_validate_json(body)
        except ValidationError:
            damage.append(f"{name} is of another version")
            return None
