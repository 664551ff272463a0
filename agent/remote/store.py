"""What was taken, on disk: the document that should run, the last one that did, and the floors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field

from agent.disk import Disk
from agent.records import RecordDamagedError, Records
from agent.remote.rules import Floors, highest
from contracts.documents import MachineModel

_FOLDER = "remote"
FileName = Literal["current", "good", "floors", "page"]
_Model = TypeVar("_Model", bound=MachineModel)


class KeptDocument(MachineModel):
    """A document that was taken, and the floors as of then.

    ``document`` is the desired document as it came, out of its envelope; None where none is to run. While ``trial`` it
    is on probation, as it changes how the broker is reached; ``starts`` counts the starts of the agent in that time.
    """

    document: dict[str, object] | None = None
    floors: Floors = Field(default_factory=Floors)
    trial: bool = False
    starts: int = 0


class KeptPage(MachineModel):
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

    current: KeptDocument
    good: KeptDocument
    floors: Floors
    page: Mapping[str, object]
    damage: tuple[str, ...] = ()


class RemoteStore:
    """The files of remote configuration. One process at a time may write: who holds the state directory.

    Args:
        disk: where they are.
    """

    def __init__(self, disk: Disk) -> None:
        self._records = Records(disk)

    @classmethod
    def under(cls, state_dir: Path) -> RemoteStore:
        """The store of a state directory."""
        return cls(Disk(state_dir / _FOLDER))

    def settle(self) -> None:
        """Have on the disk what is there: nothing that a start believed may be undone by a power cut after it."""
        self._records.settle()

    def load(self) -> Kept:
        """What the disk holds; a damaged file is passed over, and said."""
        damage: list[str] = []
        current = self._read("current", KeptDocument, damage)
        good = self._read("good", KeptDocument, damage)
        floors = self._read("floors", Floors, damage)
        page = self._read("page", KeptPage, damage)
        top = highest(*(copy for copy in (floors, current and current.floors, good and good.floors) if copy), Floors())
        was_damaged = any(text.startswith("current ") for text in damage)
        if current is None and was_damaged and good is not None:
            current = good
        return Kept(current or KeptDocument(), good or KeptDocument(), top, page.keys if page else {}, tuple(damage))

    def write_floors(self, floors: Floors) -> None:
        """Keep the floors.

        Raises:
            StorageError: they could not be written.
        """
        self._write("floors", floors)

    def write_current(self, record: KeptDocument) -> None:
        """Keep what should run.

        Raises:
            StorageError: it could not be written.
        """
        self._write("current", record)

    def write_good(self, record: KeptDocument) -> None:
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
        self._write("page", KeptPage(keys=dict(keys)))

    def _write(self, name: FileName, record: MachineModel) -> None:
        self._records.write(name, record)

    def _read(self, name: FileName, model: type[_Model], damage: list[str]) -> _Model | None:
        try:
            return self._records.read(name, model)
        except RecordDamagedError as error:
            damage.append(str(error))
            return None
