"""The box itself beside its cameras: what it tells of its state, and the frames that it takes while it is hot."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

from agent.cameras.frame import Source, Wanted
from agent.cameras.pacing import Pace
from agent.cameras.table import Opener, kind_of
from agent.counting.gaps import FRAMES_TO_A_GAP, longest_gap
from agent.shedding import Shedder
from agent.telemetry.sampler import Sampler
from agent.telemetry.table import find_readers
from contracts.config import AgentConfig, CameraConfig
from contracts.health import SheddingState, Telemetry

_log = logging.getLogger(__name__)

_LONGEST_INTERVAL = 10.0  # seconds; a box heats up within minutes, also where its health is published once an hour


class Hardware:
    """Telemetry and load shedding of a running agent.

    Args:
        config: all settings.
        root: the file system's root; tests give the tree of another board.
    """

    def __init__(self, config: AgentConfig, root: Path = Path("/")) -> None:
        shedding = config.shedding
        interval = min(config.health_seconds, _LONGEST_INTERVAL)
        self._sampler = Sampler(partial(find_readers, root), interval, shedding.hot_celsius)
        self._shedder = Shedder(shedding) if shedding.enabled else None
        self._least_fps = shedding.least_fps

    def start(self) -> None:
        """Begin to look; once."""
        self._sampler.start()

    def close(self) -> None:
        """Stop looking."""
        self._sampler.close()

    def look(self, now: float) -> None:
        """Decide how many frames are taken; to be called every second or so, by one thread.

        Args:
            now: monotonic seconds.
        """
        if self._shedder is None:
            return
        before = self._shedder.share
        self._shedder.look(self._sampler.latest(now), now)
        state = self._shedder.state(now)
        if state.share < before:
            _log.warning("%s: %.3g of the frames are taken", state.why, state.share)
        elif state.share > before:
            _log.info("the box has cooled: %.3g of the frames are taken", state.share)

    def telemetry(self, now: float) -> Telemetry | None:
        """What the hardware tells; ``now`` in monotonic seconds."""
        return self._sampler.latest(now)

    def shedding(self, now: float) -> SheddingState | None:
        """How many frames are taken; None where shedding is switched off."""
        return None if self._shedder is None else self._shedder.state(now)

    def paced(self, opener: Opener) -> Opener:
        """An opener of cameras whose frames are shed while the box is hot.

        A file that is read as fast as it goes is left alone: whoever counts it wants all of it.
        """
        shedder = self._shedder
        if shedder is None:
            return opener

        def open_paced(camera: CameraConfig, wanted: Wanted, stop: threading.Event) -> Source:
            if kind_of(camera.source).live or camera.realtime:
                # A frame that is shed must leave no hole: what a frame stands for in a report goes on to the next one.
                gap = min(1 / self._least_fps, longest_gap(camera) / FRAMES_TO_A_GAP)
                wanted = replace(wanted, pace=Pace(lambda: shedder.share, gap))
            return opener(camera, wanted, stop)

        return open_paced
