"""The thread that keeps one camera going, whatever happens to it."""

from __future__ import annotations

import logging
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

from agent.backoff import Backoff
from agent.cameras.frame import Frame, Source, Wanted
from agent.cameras.slot import FrameSlot
from agent.cameras.table import open_source
from contracts.addresses import redacted, shown
from contracts.config import CameraConfig
from contracts.errors import EdgetallyError

CaptureState = Literal["opening", "running", "lost", "ended"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CaptureStatus:
    """How a camera does; a snapshot.

    Args:
        state: ``opening`` until the first frame, ``lost`` from a fault to the next frame, ``ended`` after the last
            frame of a file.
        problem: the last fault and what to do about it, without credentials; None while it runs.
        frames: how many were handed on.
        dropped: how many were not, by cause: ``late`` (replaced by a newer one before it was counted, or never made),
            ``rate`` (above the camera's ``fps``), ``shed`` (the box is hot), ``damaged`` (could not be decoded).
        reconnects: how often its frames came back.
    """

    state: CaptureState = "opening"
    problem: str | None = None
    frames: int = 0
    dropped: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    reconnects: int = 0


class Capture:
    """Opens a camera, reads it into a slot, and opens it again whenever it is lost.

    A thread of its own and nothing shared, so that a dead camera holds up no other one.

    Args:
        camera: the camera.
        wanted: the model's input.
        slot: where the frames go; `close` closes it.
        opener: opens the source.
        retry: open it again after a fault; else the fault ends it (`CaptureStatus.problem` says which), for who reads
            a file once and must not count its beginning twice.
        backoff: the waits between two tries.
        on_change: called from the camera's thread after each change of state.
    """

    def __init__(
        self,
        camera: CameraConfig,
        wanted: Wanted,
        slot: FrameSlot,
        *,
        opener: Callable[[CameraConfig, Wanted, threading.Event], Source] = open_source,
        retry: bool = True,
        backoff: Backoff | None = None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._camera = camera
        self._wanted = wanted
        self._slot = slot
        self._opener = opener
        self._retry = retry
        self._backoff = backoff or Backoff()
        self._on_change = on_change
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._status = CaptureStatus()
        self._earlier_drops: Counter[str] = Counter()
        self._next_sequence = 0
        # A daemon: looking up a host's name cannot be interrupted, and must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=f"camera-{camera.id}", daemon=True)

    def start(self) -> None:
        """Begin; once."""
        self._thread.start()

    def close(self, timeout: float | None = 15.0) -> bool:
        """Stop and let go of the camera; twice is harmless.

        Args:
            timeout: seconds to wait for the thread; opening and reading end by themselves within their timeouts.

        Returns:
            Whether the thread has ended.
        """
        self._stop.set()
        self._slot.close()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def status(self) -> CaptureStatus:
        """How it does now."""
        with self._lock:
            status = self._status
        dropped = Counter(status.dropped)
        dropped["late"] += self._slot.dropped
        return replace(status, dropped=MappingProxyType({cause: n for cause, n in dropped.items() if n}))

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                if self._watch():
                    self._change(state="ended", problem=None)
                    return
            except EdgetallyError as error:
                self._lost(redacted(str(error), self._camera.source))
            except Exception as error:  # noqa: BLE001 - a bug met with one camera must not end it for good
                self._lost_to_a_bug(error)
            if not self._retry:
                self._change(state="ended", problem=self._status.problem)
                return
            self._stop.wait(self._backoff.next())

    def _watch(self) -> bool:
        """Read the source until it ends (true) or it is told to stop (false)."""
        source = self._opener(self._camera, self._wanted, self._stop)
        first = self._next_sequence
        try:
            while not self._stop.is_set():
                frame = source.read()
                if frame is None:
                    return not self._stop.is_set()
                # It goes on growing when the camera is opened again, so that a number names one frame of a run.
                frame = replace(frame, sequence=first + frame.sequence)
                self._came(frame, source.dropped)
                self._slot.put(frame)
            return False
        finally:
            self._earlier_drops.update(source.dropped)
            source.close()

    def _came(self, frame: Frame, dropped: Mapping[str, int]) -> None:
        self._backoff.reset()
        self._next_sequence = frame.sequence + 1
        with self._lock:
            before = self._status
            self._status = replace(
                before,
                state="running",
                problem=None,
                frames=before.frames + 1,
                dropped=self._earlier_drops + Counter(dropped),
                reconnects=before.reconnects + (before.state == "lost" and before.frames > 0),
            )
        if before.state != "running":
            _log.info("camera %s: frames come", self._camera.id)
            self._on_change()

    def _lost(self, problem: str) -> None:
        if self._status.problem != problem:  # said once, not at every try
            _log.warning("%s", problem)
        self._change(state="lost", problem=problem)

    def _lost_to_a_bug(self, error: Exception) -> None:
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        _log.error("camera %s: an unexpected fault\n%s", self._camera.id, redacted(text, self._camera.source))
        where = shown(self._camera.source)
        problem = f"camera {self._camera.id}: {where}: an unexpected fault ({type(error).__name__}); see the log"
        self._change(state="lost", problem=problem)

    def _change(self, *, state: CaptureState, problem: str | None) -> None:
        with self._lock:
            self._status = replace(self._status, state=state, problem=problem)
        self._on_change()
