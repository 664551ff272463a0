"""What somebody on site asks for: left in the state directory by the command, taken by the agent that runs.

A file rather than a socket: it works while the agent is down, and who may write to the state directory may do it.
"""

from __future__ import annotations

import contextlib
import logging
import uuid
from pathlib import Path

from pydantic import Field

from agent.disk import Disk
from agent.records import RecordDamagedError, Records
from contracts.documents import Id, MachineModel
from contracts.errors import StorageError
from contracts.update import WantedModel

_log = logging.getLogger(__name__)

_REQUEST, _HOLD = "request", "hold"


class OnSiteRequest(MachineModel):
    """Models to run instead of those that do, from a folder; or those before, where ``back``.

    Attributes:
        id: of this request.
        source: the folder: a repository, or a bundle; None for the servers of agent.toml.
        models: slot to model; slots that are not named keep what they run.
        back: what ran before is wanted instead.
        cancel: the attempt under way is to end, where nothing was touched yet.
    """

    id: str = Field(default_factory=lambda: uuid.uuid4().hex)
    source: str | None = None
    models: dict[Id, WantedModel] = Field(default_factory=dict)
    back: bool = False
    cancel: bool = False


class Hold(MachineModel):
    """No model takes over while it is there.

    Attributes:
        why: in the words of who set it.
        since: UTC.
    """

    why: str = Field(max_length=200)
    since: str


class OnSite:
    """The requests of a state directory.

    Args:
        folder: of the update.
    """

    def __init__(self, folder: Path) -> None:
        self._disk = Disk(folder)
        self._records = Records(self._disk)

    def ask(self, request: OnSiteRequest) -> None:
        """Leave a request; one that waited is forgotten.

        Raises:
            StorageError: it cannot be written.
        """
        self._records.write(_REQUEST, request)

    def request(self) -> OnSiteRequest | None:
        """The request that waits; None where none does, or what lies there is none."""
        try:
            return self._records.read(_REQUEST, OnSiteRequest)
        except RecordDamagedError as error:
            _log.error("what was asked for on site is not done: %s; ask again", error)
            return None

    def done(self) -> None:
        """The request was taken; twice is harmless.

        Raises:
            StorageError: it cannot be removed.
        """
        self._remove(_REQUEST)

    @property
    def waits(self) -> bool:
        """Whether a request was not taken yet."""
        return (self._disk.directory / _REQUEST).exists()

    def hold(self, hold: Hold) -> None:
        """Have no model take over.

        Raises:
            StorageError: it cannot be written.
        """
        self._records.write(_HOLD, hold)

    def resume(self) -> None:
        """Let models take over again; twice is harmless.

        Raises:
            StorageError: it cannot be removed.
        """
        self._remove(_HOLD)

    def held(self) -> Hold | None:
        """Who holds updates back, and why; a record that cannot be read holds too."""
        try:
            return self._records.read(_HOLD, Hold)
        except RecordDamagedError as error:
            return Hold(why=f"the record of it cannot be read: {error}", since="")

    def _remove(self, name: str) -> None:
        path = self._disk.directory / name
        try:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
        except OSError as error:
            raise StorageError(str(path), error) from error
