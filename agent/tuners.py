"""Who measures the models of a box, one a slot."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from agent.slots import Slots
from agent.tuning.ground import Ground
from agent.tuning.pace import Frames
from agent.tuning.tuner import Served, Tuner


class Tuners:
    """Measures each model that is to be tuned, in turn. For one thread, apart from `ahead`.

    Args:
        slots: the models.
        frames: how many frames came from the cameras, and were dropped as late.
    """

    def __init__(self, slots: Slots, frames: Callable[[], Frames]) -> None:
        self._slots = slots
        self._frames = frames
        self._turn = threading.Lock()
        self._tuners: dict[str, Tuner] = {}
        self._is_wanted = False

    def start(self) -> None:
        """Begin."""
        self._is_wanted = True
        for name in self._slots:
            self._begin(name)

    def renew(self, name: str) -> None:
        """A slot has another bundle: what is measured of the one before ends, by itself."""
        if self._is_wanted:
            if name in self._tuners:
                self._tuners[name].stop(0.0)
            self._begin(name)

    def stop(self, timeout: float) -> None:
        """Measure no more; twice is harmless.

        Args:
            timeout: seconds for all of them together.
        """
        self._is_wanted = False
        deadline = time.monotonic() + timeout
        for tuner in self._tuners.values():
            tuner.stop(0.0)  # all are told first
        for tuner in self._tuners.values():
            tuner.stop(max(0.0, deadline - time.monotonic()))

    def ahead(self, ground: Ground, served: Served) -> Tuner:
        """Who measures a bundle that does not count yet, in turn with those that do; the caller starts and stops it."""
        return Tuner(ground, served, self._frames, turn=self._turn)

    def _begin(self, name: str) -> None:
        slot = self._slots[name]
        if slot.ground.wanted.tune:
            self._tuners[name] = Tuner(slot.ground, slot.serving, self._frames, turn=self._turn)
            self._tuners[name].start()
