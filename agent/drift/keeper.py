"""Keeps what cameras used to be like over restarts."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Protocol

from agent.drift.baseline import Baseline
from agent.drift.watch import DriftWatch
from agent.store.drift import LearnedHour
from contracts.errors import EdgetallyError, UnknownNameError

_log = logging.getLogger(__name__)


class BaselineStore(Protocol):
    """Where it is kept: `agent.store.Store`."""

    def baselines(self, cameras: Mapping[str, str]) -> Mapping[str, Baseline]:
        """See `agent.store.Store.baselines`."""

    def learn(self, hours: Sequence[LearnedHour]) -> None:
        """See `agent.store.Store.learn`."""

    def begin_anew(self, camera: str) -> Baseline:
        """See `agent.store.Store.begin_anew`."""


class DriftKeeper:
    """One transaction an hour, for all cameras together; none where nothing was learned. Any thread may call it.

    Args:
        memory: where it is kept.
        watches: of all cameras.
    """

    def __init__(self, memory: BaselineStore, watches: Sequence[DriftWatch]) -> None:
        self._memory = memory
        self._watches: tuple[DriftWatch, ...] = ()
        self._turn = threading.Lock()
        self.watch(watches)

    def watch(self, watches: Sequence[DriftWatch]) -> None:
        """These are the cameras from now on; each that is new goes on from its own past, where the disk tells it."""
        with self._turn:
            self._watch(watches)

    def begin_anew(self, camera: str) -> str:
        """Learn anew what is usual for a camera, whose past is forgotten at once.

        Returns:
            When its new past begins, UTC.

        Raises:
            UnknownNameError: there is no such camera.
            StorageError: the disk refuses; nothing is forgotten.
        """
        with self._turn:
            watch = next((one for one in self._watches if one.camera == camera), None)
            if watch is None:
                raise UnknownNameError("camera", camera, [one.camera for one in self._watches])
            baseline = self._memory.begin_anew(camera)
            watch.begin_anew(baseline)
        _log.info("camera %s: what is usual for it is learned anew", camera)
        return baseline.since or ""

    def _watch(self, watches: Sequence[DriftWatch]) -> None:
        before, self._watches = self._watches, tuple(watches)
        try:
            past = self._memory.baselines({watch.camera: watch.definition for watch in watches})
        except EdgetallyError as error:
            _log.error("%s; what is usual for the cameras is learned anew", error)
            return
        for watch in watches:
            if watch not in before:
                watch.resume(past[watch.camera])

    def save(self) -> None:
        """Keep what was learned since; what the disk refuses waits, for two days."""
        with self._turn:
            self._save()

    def _save(self) -> None:
        fresh = {watch: learned for watch in self._watches if (learned := watch.unkept())}
        if not fresh:
            return
        try:
            self._memory.learn(
                [LearnedHour(watch.camera, watch.definition, one) for watch, hours in fresh.items() for one in hours]
            )
        except EdgetallyError as error:  # also of a broken database: the next window's commit ends the agent for it
            _log.error("%s; what was learned of the cameras' usual waits in memory", error)
            return
        for watch, hours in fresh.items():
            watch.kept(hours)
