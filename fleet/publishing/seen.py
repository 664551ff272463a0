"""The newest state of a repository that was seen here: who shows an older one does not get it signed again.

Boxes notice an older state by themselves. Whoever publishes has to as well, for what is published on top of it gets a
newer version than all that boxes have seen, and what was withdrawn meanwhile would be back.
"""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from contracts.documents import MachineModel
from fleet.publishing.errors import KeyFileError, RepositoryError
from fleet.publishing.state import State

_log = logging.getLogger(__name__)


class SeenState(MachineModel):
    """The versions of a state."""

    format: Literal[1] = 1
    root: int
    timestamp: int
    snapshot: int


class Seen:
    """Remembers in a folder, a file a repository.

    Args:
        folder: where.
        trusted: root.json of the repository; tells it from others.
    """

    def __init__(self, folder: Path, trusted: bytes) -> None:
        self._path = folder / f".seen-{hashlib.sha256(trusted).hexdigest()[:16]}.json"

    def check(self, where: str, state: State) -> None:
        """See that a state is not older than what was seen.

        Raises:
            RepositoryError: it is.
            KeyFileError: what was seen cannot be read.
        """
        before, now = self._read(), _versions(state)
        if before is None:
            return
        older = now.root < before.root or now.snapshot < before.snapshot
        if older or (now.timestamp < before.timestamp and not state.unfinished):
            raise RepositoryError(
                where,
                f"this is an older state (snapshot {now.snapshot}) than was seen before (snapshot {before.snapshot})",
                f"find out who put it back; where it was you, from a backup, remove {self._path}",
            )

    def note(self, state: State) -> None:
        """Remember a state; where that is not possible it is said, and nothing else fails."""
        now = _versions(state)
        if now == self._read():
            return
        new = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            new.write_text(now.model_dump_json())
            new.replace(self._path)
        except OSError as error:
            _log.warning("%s cannot be written (%s): an older state would not be noticed", self._path, error.strerror)

    def _read(self) -> SeenState | None:
        try:
            return SeenState.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise KeyFileError(str(self._path), "cannot be read", "remove it") from error


def _versions(state: State) -> SeenState:
    return SeenState(
        root=state.root.signed.version,
        timestamp=state.timestamp.signed.version,
        snapshot=state.snapshot.signed.version,
    )
