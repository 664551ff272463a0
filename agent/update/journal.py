"""What an update writes down before it does it: the attempt, and which models are the ones that run.

The pointer is one file, so that all models flip at once; what it names stays on the shelf.
"""

from __future__ import annotations

import logging
from typing import TypeVar

from pydantic import Field

from agent.disk import Disk
from agent.records import RecordDamagedError, Records
from agent.update.rules import Attempt, InstalledSet
from contracts.documents import MachineModel

_log = logging.getLogger(__name__)

_ATTEMPT, _ACTIVE = "attempt", "active"
_Record = TypeVar("_Record", bound=MachineModel)


class Active(MachineModel):
    """The pointer.

    Attributes:
        attempt: the number of the one that wrote it; 0 where none did.
        running: what counts, or should from the start.
        previous: what counted before it.
        older: what counted before that, until the attempt that flipped is over.
    """

    attempt: int = Field(0, ge=0)
    running: InstalledSet = InstalledSet()
    previous: InstalledSet = InstalledSet()
    older: InstalledSet = InstalledSet()

    def flipped(self, to: InstalledSet, attempt: int) -> Active:
        """With other models; what runs now becomes what ran before. Twice is as once."""
        if self.attempt == attempt and self.running == to:
            return self
        return Active(attempt=attempt, running=to, previous=self.running, older=self.previous)

    def flipped_back(self, attempt: int) -> Active:
        """With what counted before the attempt, where it was the one that flipped. Twice is as once."""
        if self.attempt != attempt:
            return self
        return Active(attempt=0, running=self.previous, previous=self.older)


class Journal:
    """The attempt and the pointer, on disk. For one thread at a time.

    Args:
        disk: the folder; whoever holds the state directory writes to it.

    Attributes:
        attempt: the newest; None where there was none.
        active: which models run.
        damage: what could not be read, in words.
    """

    def __init__(self, disk: Disk) -> None:
        self._records = Records(disk)
        self.damage: tuple[str, ...] = ()
        self.attempt = self._read(_ATTEMPT, Attempt)
        self.active = self._read(_ACTIVE, Active) or Active()

    def settle(self) -> None:
        """Have on the disk what was read: nothing that a start believed may be undone by a power cut after it."""
        self._records.settle()

    def enter(self, attempt: Attempt) -> None:
        """Have it known where the attempt stands, before that is done.

        Raises:
            StorageError: it could not be written; nothing may be done then.
        """
        self._records.write(_ATTEMPT, attempt)
        self.attempt = attempt

    def assume(self, attempt: Attempt) -> None:
        """Go on as if it had been written, where the disk takes nothing and waiting would do harm."""
        self.attempt = attempt

    def point(self, active: Active) -> None:
        """Have other models be the ones that run.

        Raises:
            StorageError: the ones before are.
        """
        if active != self.active:
            self._records.write(_ACTIVE, active)
            self.active = active

    def _read(self, name: str, model: type[_Record]) -> _Record | None:
        try:
            return self._records.read(name, model)
        except RecordDamagedError as error:
            self.damage += (str(error),)
            _log.error("the journal of updates: %s; the models of agent.toml are used where it named others", error)
            return None
