"""What is done between two attempts: room is made on the shelf, and what is signed is asked for once a day."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from agent.update.errors import UpdateError, UpdateWaitsError
from agent.update.ports import Release
from agent.update.rules import InstalledModel
from agent.update.shelf import Shelf
from contracts.errors import EdgetallyError

_log = logging.getLogger(__name__)

ASK_SECONDS = 86_400.0
"""Between two looks at what is signed: withdrawn models, other operators' keys, metadata that ends soon."""

_AGAIN_SECONDS = 3600.0  # after one that nobody answered
_SOON_SECONDS = 60.0  # the same where nothing was ever read, and documents may wait for it
_CALM_SECONDS = 600.0  # between two looks at whether there is anything to do


class Signed(Protocol):
    """What is released, as of now; `agent.update.trust.releases.TrustedReleases` is one."""

    def refresh(self) -> None:
        """Take the newest; raises as `agent.update.ports.Releases`."""

    def find(self, model: str, version: str) -> Release:
        """One release; raises as `agent.update.ports.Releases`."""

    def warning(self) -> str | None:
        """What to say of metadata that ends soon; None while all is well."""


class Upkeep:
    """Does it. For the thread of the update, apart from `problems`.

    Args:
        shelf: the bundles on the disk.
        keep: digests of the manifests that stay on it.
        running: slot to the bundle that runs.
        signed: opens what is signed; None where this box has no server, or takes what is not signed.
        clock: monotonic seconds.
        chance: gives numbers in 0 to 1; boxes of a fleet should not ask in the same second.
        at_once: ask at the first call, and soon again until it is answered: nobody knows who may sign documents.

    Attributes:
        problems: what somebody has to see to, in words.
    """

    def __init__(
        self,
        shelf: Shelf,
        keep: Callable[[], Collection[str]],
        running: Callable[[], Mapping[str, InstalledModel]],
        signed: Callable[[], Signed | None],
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        *,
        at_once: bool = False,
    ) -> None:
        self._shelf = shelf
        self._keep = keep
        self._running = running
        self._signed = signed
        self._clock = clock
        self._chance = chance
        self._is_urgent = at_once
        self._kept: frozenset[str] | None = None
        self._ask_at = clock() + (0.0 if at_once else chance() * _AGAIN_SECONDS)
        self.problems: tuple[str, ...] = ()

    def __call__(self) -> float:
        """Do what is due; never raises.

        Returns:
            Seconds until it is worth another call.
        """
        try:
            self._make_room()
            if self._clock() >= self._ask_at:
                self._ask()
        except UpdateError as error:
            _log.error("%s", error)
        except Exception:  # noqa: BLE001 - a bug here must not end the updates
            _log.exception("the upkeep of models failed inside")
        return min(_CALM_SECONDS, max(1.0, self._ask_at - self._clock()))

    def _make_room(self) -> None:
        keep = frozenset(self._keep())
        if keep != self._kept and keep:
            self._shelf.collect(keep)
        self._kept = keep

    def _ask(self) -> None:
        self._ask_at = self._clock() + ASK_SECONDS * (0.5 + 0.5 * self._chance())
        signed = self._signed()
        if signed is None:
            return
        try:
            signed.refresh()
        except UpdateWaitsError as error:
            self._ask_soon(_AGAIN_SECONDS)
            _log.info("what is signed could not be asked for: %s", error)
        except EdgetallyError as error:
            self.problems = (str(error),)
            self._ask_soon(ASK_SECONDS)  # the clock may be set meanwhile
            return
        else:
            self._is_urgent = False
        self.problems = tuple(self._found(signed))

    def _ask_soon(self, otherwise: float) -> None:
        """After one that was not answered: soon where documents may wait for it, else in ``otherwise`` seconds."""
        seconds = _SOON_SECONDS if self._is_urgent else otherwise
        self._ask_at = min(self._ask_at, self._clock() + seconds)

    def _found(self, signed: Signed) -> list[str]:
        found = [self._standing(signed, model) for model in self._running().values()]
        return [one for one in (signed.warning(), *found) if one is not None]

    def _standing(self, signed: Signed, model: InstalledModel) -> str | None:
        """Why a model that runs should not; None where nothing is known against it."""
        try:
            signed.find(model.name, model.version)
        except UpdateError as error:
            return f"{model.name} {model.version} runs, and {error.reason}" if error.code == "withdrawn" else None
        except UpdateWaitsError:
            return None
        return None
