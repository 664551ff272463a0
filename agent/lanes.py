"""The threads that turn frames into results: one a lane, taking from every camera in turn.

Two inferences of one camera may be under way at once; their results are handed on in the order of the frames.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from agent.cameras.frame import Frame
from agent.cameras.slot import FrameSlot
from agent.limited_log import LimitedLog
from agent.model import LoadedModel
from agent.timings import Timings
from contracts.errors import EdgetallyError
from runtime.backends.base import Lane
from runtime.decoders.table import Decoder
from runtime.prepare import Preparer
from runtime.results import Result

_faults = LimitedLog(logging.getLogger(__name__))

Sink = Callable[[Frame, "Result | None"], None]
"""Takes each frame in order, with its result, or None where the model failed on it."""


@dataclass
class Stream:
    """One camera's way through the lanes.

    Args:
        slot: where its frames wait; frames without need of inference never come here.
        decoder: for its outputs.
        sink: called in the frames' order, by one thread at a time.
        worth: whether the model may be asked about a frame; it is left out where not.
        timings: where the stages' times go.
    """

    slot: FrameSlot
    decoder: Decoder
    sink: Sink
    worth: Callable[[Frame], bool] = lambda _: True
    timings: Timings = field(default_factory=Timings)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _taken: int = field(default=0, init=False)
    _next: int = field(default=0, init=False)
    _done: dict[int, tuple[Frame, Result | None]] = field(default_factory=dict, init=False)

    def take(self) -> tuple[int, Frame] | None:
        """The next frame with its ticket; to be called by one thread at a time."""
        frame = self.slot.take()
        if frame is None or not self.worth(frame):
            return None
        self._taken += 1
        return self._taken - 1, frame

    def finish(self, ticket: int, frame: Frame, result: Result | None) -> None:
        """Hand the result on as soon as all earlier ones are; every ticket must be finished once."""
        with self._lock:
            self._done[ticket] = (frame, result)
            while self._next in self._done:
                ready = self._done.pop(self._next)
                self._next += 1
                self._hand_on(*ready)

    def _hand_on(self, frame: Frame, result: Result | None) -> None:
        started = time.perf_counter()
        try:
            self.sink(frame, result)
        except Exception:  # noqa: BLE001 - a fault in counting must not end the lane
            _faults.exception("frame %d could not be counted", frame.sequence)
            with contextlib.suppress(Exception):  # the sink has to know, unless that is what it fails at
                self.sink(frame, None)
        self.timings.add("count", time.perf_counter() - started)
        self.timings.add("total", time.monotonic() - frame.captured_at)

    @property
    def idle(self) -> bool:
        """Whether every frame that was taken has been handed on."""
        with self._lock:
            return self._next == self._taken


class LanePool:
    """Runs the lanes of a model over the frames of all streams.

    Args:
        model: what runs.
        streams: the cameras.
        ready: the condition that the streams' slots notify when a frame waits.
    """

    def __init__(self, model: LoadedModel, streams: Sequence[Stream], ready: threading.Condition) -> None:
        self._model = model
        self._streams = list(streams)
        self._ready = ready
        self._turn = 0
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._work, args=(lane,), name=f"lane-{number}", daemon=True)
            for number, lane in enumerate(model.lanes)
        ]

    def start(self) -> None:
        """Start a thread a lane."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float | None = None) -> None:
        """Finish the frames under way and end the threads; twice is harmless.

        Args:
            timeout: seconds to wait for a lane that hangs; it is left behind.
        """
        with self._ready:
            self._stopping = True
            self._ready.notify_all()
        for thread in self._threads:
            thread.join(timeout)

    def _work(self, lane: Lane) -> None:
        preparer = Preparer(self._model.spec.input)
        while True:
            with self._ready:
                job = self._next_job()
                while job is None:
                    if self._stopping:
                        return
                    self._ready.wait()
                    job = self._next_job()
            stream, ticket, frame = job
            stream.finish(ticket, frame, self._run(lane, preparer, stream, frame))

    def _next_job(self) -> tuple[Stream, int, Frame] | None:
        """A frame of the stream whose turn it is; holds the condition's lock."""
        for offset in range(len(self._streams)):
            position = (self._turn + offset) % len(self._streams)
            taken = self._streams[position].take()
            if taken is not None:
                self._turn = position + 1
                return self._streams[position], *taken
        return None

    def _run(self, lane: Lane, preparer: Preparer, stream: Stream, frame: Frame) -> Result | None:
        begun = time.perf_counter()
        try:
            tensor = preparer.prepare(frame.image, frame.placement)
            prepared = time.perf_counter()
            outputs = lane.infer({self._model.input_name: tensor})
            inferred = time.perf_counter()
            result = stream.decoder.decode(outputs, frame.placement)
        except EdgetallyError as error:
            _faults.error("%s failed on frame %d: %s", self._model.artifact.id, frame.sequence, error)
            return None
        except Exception:  # noqa: BLE001 - the frame was not counted: the window says model_error, the lane goes on
            _faults.exception("%s failed on frame %d", self._model.artifact.id, frame.sequence)
            return None
        stream.timings.add("resize", prepared - begun)
        stream.timings.add("infer", inferred - prepared)
        stream.timings.add("outputs", time.perf_counter() - inferred)
        return result
