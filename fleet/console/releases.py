"""What may be rolled out: the releases of a repository, which the console only reads, without any private key."""

from __future__ import annotations

import logging
from typing import Protocol

from contracts.errors import EdgetallyError
from fleet.console.errors import Refused
from fleet.publishing.errors import ReleaseError
from fleet.publishing.files import Files
from fleet.publishing.seen import Seen
from fleet.publishing.state import State, load_state
from fleet.rollout.release import RolloutRelease, found_in

_log = logging.getLogger(__name__)


class Releases(Protocol):
    """Where releases come from."""

    def names(self) -> list[str]:
        """Those that boxes still take, as NAME@VERSION, the newest of each model first."""

    def find(self, model: str, version: str) -> RolloutRelease:
        """One of them.

        Raises:
            ReleaseError: there is none, or it was withdrawn.
        """


class RepositoryReleases:
    """The releases of a repository.

    Args:
        files: of it.
        trusted: root.json that is trusted.
        seen: tells where the repository shows an older state than before.
    """

    def __init__(self, files: Files, trusted: bytes, seen: Seen) -> None:
        self._files = files
        self._trusted = trusted
        self._seen = seen

    def names(self) -> list[str]:
        """See `Releases`.

        Raises:
            Refused: the repository cannot be read, or is not what it should be.
        """
        try:
            found = [one.info for one in self._state().releases() if one.info.withdrawn is None]
        except EdgetallyError as error:
            raise _unusable(error) from error
        return [f"{one.model}@{one.version}" for one in sorted(found, key=lambda one: (one.model, -one.release))]

    def find(self, model: str, version: str) -> RolloutRelease:
        """See `Releases`.

        Raises:
            Refused: the repository cannot be read, or is not what it should be.
        """
        try:
            return found_in(self._files, self._state(), model, version)
        except ReleaseError:
            raise
        except EdgetallyError as error:
            raise _unusable(error) from error

    def _state(self) -> State:
        state = load_state(self._files, self._trusted)
        self._seen.check(self._files.where, state)
        self._seen.note(state)
        return state


def _unusable(error: EdgetallyError) -> Refused:
    # What it says is for the log: it may tell of machines.
    _log.error("the repository cannot be used: %s", error)
    return Refused(503, "repository", "the repository cannot be used now; the console's log says why", wait=5.0)
