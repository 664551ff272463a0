"""The threads that turn frames into results: one a lane, taking from every camera in turn.

Two inferences of one camera may be under way at once; their results are handed on in the order of the frames. Another
model takes over between two frames: what the one before has begun it finishes, and it is handed on first.
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
from agent.model import LoadedModel, RunningForm
from agent.timings import Timings
from contracts.errors import ArtifactError, EdgetallyError
from contracts.model_spec import ModelSpec
from runtime.backends.base import Lane
from runtime.decoders.table import Decoder
from runtime.prepare import Preparer
from runtime.results import Result

_log = logging.getLogger(__name__)
_faults = LimitedLog(_log)

_MOST_UNDER_WAY = 64  # frames of a camera; behind a lane that hangs, results of the others would fill the memory

Sink = Callable[[Frame, "Result | None"], None]
"""Takes each frame in order, with its result, or None where the model failed on it."""


@dataclass(eq=False)
class Stream:
    """One camera's way through the lanes.

    Args:
        slot: where its frames wait; frames without need of inference never come here.
        decode_as: gives the decoder of a model's outputs for this camera; asked once a model.
        sink: called in the frames' order, by one thread at a time.
        worth: whether the model may be asked about a frame; it is left out where not.
        timings: where the stages' times go.
        begins: told, as the sink is, which form of the model gave the results from the next frame on.
    """

    slot: FrameSlot
    decode_as: Callable[[ModelSpec], Decoder]
    sink: Sink
    worth: Callable[[Frame], bool] = lambda _: True
    timings: Timings = field(default_factory=Timings)
    begins: Callable[[RunningForm], None] = lambda _: None
    _lock: threading.Condition = field(default_factory=threading.Condition, init=False)
    _taken: int = field(default=0, init=False)
    _next: int = field(default=0, init=False)
    _done: dict[int, tuple[Frame, Result | None, RunningForm | None]] = field(default_factory=dict, init=False)
    _begun: dict[int, float] = field(default_factory=dict, init=False)  # ticket to monotonic seconds
    _form: RunningForm | None = field(default=None, init=False)

    def take(self) -> tuple[int, Frame] | None:
        """The next frame with its ticket; to be called by one thread at a time."""
        if self._taken - self._next >= _MOST_UNDER_WAY:
            return None
        frame = self.slot.take()
        if frame is None:
            return None
        self._begun[self._taken] = time.monotonic()
        try:
            if not self.worth(frame):
                del self._begun[self._taken]
                return None
        except Exception:  # noqa: BLE001 - a fault in looking at it must neither end the lane nor let it be counted
            _faults.exception("frame %d could not be looked at", frame.sequence)
            self._taken += 1
            self.finish(self._taken - 1, frame, None, None)
            return None
        self._taken += 1
        return self._taken - 1, frame

    def finish(self, ticket: int, frame: Frame, result: Result | None, form: RunningForm | None) -> None:
        """Hand the result on as soon as all earlier ones are.

        Every ticket must be finished; only the first time counts.

        Args:
            ticket: as `take` gave it.
            frame: likewise.
            result: None where the model failed on it.
            form: what ran; None where nothing did.
        """
        with self._lock:
            if ticket < self._next or ticket in self._done:
                return  # the lane was given up, and comes back after all
            self._done[ticket] = (frame, result, form)
            while self._next in self._done:
                ready = self._done.pop(self._next)
                self._next += 1
                self._hand_on(*ready)
                del self._begun[self._next - 1]
            self._lock.notify_all()

    def _hand_on(self, frame: Frame, result: Result | None, form: RunningForm | None) -> None:
        started = time.perf_counter()
        try:
            if form is not None and form is not self._form:
                self.begins(form)
                self._form = form
            self.sink(frame, result)
        except Exception:  # noqa: BLE001 - a fault in counting must not end the lane
            _faults.exception("frame %d could not be counted", frame.sequence)
            with contextlib.suppress(Exception):  # the sink has to know, unless that is what it fails at
                self.sink(frame, None)
        self.timings.add("count", time.perf_counter() - started)
        self.timings.add("total", time.monotonic() - frame.captured_at)

    def oldest(self) -> float | None:
        """When the oldest frame that is under way was taken, in monotonic seconds; waits for no lock."""
        return min(tuple(self._begun.values()), default=None)

    @property
    def idle(self) -> bool:
        """Whether every frame that was taken has been handed on."""
        with self._lock:
            return self._next == self._taken

    def wait_idle(self, timeout: float) -> bool:
        """Wait until that is so, at most ``timeout`` seconds; whether it is."""
        with self._lock:
            return self._lock.wait_for(lambda: self._next == self._taken, timeout)


class _Crew:
    """The threads on one model's lanes.

    Args:
        model: what they run.
        decoders: of its outputs, by stream; changed under the pool's condition.
    """

    def __init__(self, model: LoadedModel, decoders: dict[Stream, Decoder]) -> None:
        self.model = model
        self.form = model.form
        self.decoders = decoders
        self.relieved = False  # written and read under the pool's condition
        self.threads: list[threading.Thread] = []
        self.jobs: dict[threading.Thread, _Job] = {}  # what each is at

    def give_up(self) -> None:
        """Hand on what hanging lanes are at as frames on which the model failed, so that what comes after them is."""
        for thread, job in tuple(self.jobs.items()):
            if thread.is_alive():
                job.stream.finish(job.ticket, job.frame, None, self.form)


@dataclass(frozen=True)
class _Job:
    """A frame to run: of which stream, how its outputs are decoded, and with which ticket."""

    stream: Stream
    decoder: Decoder
    ticket: int
    frame: Frame


class LanePool:
    """Runs the lanes of a model over the frames of all streams; frames wait until `switch` gave it the first one.

    Streams come and go while the others are counted.

    Args:
        streams: the cameras from the start.
        ready: the condition that the streams' slots notify when a frame waits.
    """

    def __init__(self, streams: Sequence[Stream], ready: threading.Condition) -> None:
        self._streams = list(streams)
        self._ready = ready
        self._changing = threading.Lock()  # the streams, or who decodes them
        self._turn = 0
        self._took_at = time.monotonic()
        self._stopping = False
        self._crew: _Crew | None = None

    def add(self, stream: Stream) -> None:
        """Take frames of this stream too, from now on; one that is there already is decoded anew.

        That is for a stream whose `Stream.decode_as` gives another decoder than before: frames that were taken before
        are decoded as they were to be.
        """
        with self._changing:
            crew = self._crew
            decoder = None if crew is None else stream.decode_as(crew.form.spec)
            with self._ready:
                if stream not in self._streams:
                    self._streams.append(stream)
                if crew is not None and decoder is not None:
                    crew.decoders[stream] = decoder
                self._ready.notify_all()

    def remove(self, stream: Stream) -> None:
        """Take no more frames of this stream; those under way are finished and handed on (`Stream.idle`)."""
        with self._changing, self._ready:
            if stream in self._streams:
                self._streams.remove(stream)
            if self._crew is not None:
                self._crew.decoders.pop(stream, None)

    def switch(self, model: LoadedModel, timeout: float | None = None) -> LoadedModel | None:
        """Have another model take over, between two frames; for one caller at a time.

        Every frame taken before is finished, decoded and handed on as the model before has it, every one after by the
        new one; none is left out, none comes twice, and their order stays.

        Args:
            model: opened and proven; it takes frames of the same input.
            timeout: seconds to wait for the lanes before.

        Returns:
            The model before, which nobody uses any more: to be closed, or kept to go back to. None where there was
            none, and where one of its lanes hangs: then it must not be closed, and is left behind.

        Raises:
            ArtifactError: the model wants other frames than the one before; that goes on.
            RuntimeError: the lanes were stopped.
        """
        with self._changing:
            before = self._crew
            if before is not None and self._streams and model.spec.input.geometry != before.form.spec.input.geometry:
                raise ArtifactError(
                    f"{model.artifact.id} wants frames of another size than {before.form.artifact.id}, which runs; "
                    "its cameras are to be opened anew around the change"
                )
            crew = self._hire(model)
            with self._ready:
                if self._stopping:
                    raise RuntimeError("the lanes were stopped")
                self._crew = crew
                if before is not None:
                    before.relieved = True
                self._ready.notify_all()  # those that wait for a frame leave; no later notice can reach them
        for thread in crew.threads:
            thread.start()
        return None if before is None else _dismissed(before, timeout)

    def standstill(self, now: float) -> float:
        """How long what should go on has not: the oldest frame under way, or one that waits while no lane takes any.

        Waits for no lane; a moment's answer may be too long, two in a row are not.

        Args:
            now: monotonic seconds.

        Returns:
            Seconds; 0 where nothing is to be done, or no model runs yet.
        """
        streams = tuple(self._streams)
        since = [begun for stream in streams if (begun := stream.oldest()) is not None]
        if self._crew is not None and not since and not all(stream.slot.empty for stream in streams):
            since = [self._took_at]
        return max((now - begun for begun in since), default=0.0)

    def _hire(self, model: LoadedModel) -> _Crew:
        crew = _Crew(model, {stream: stream.decode_as(model.spec) for stream in self._streams})
        crew.threads = [
            threading.Thread(target=self._work, args=(crew, lane), name=f"lane-{number}", daemon=True)
            for number, lane in enumerate(model.lanes)
        ]
        return crew

    def stop(self, timeout: float | None = None) -> LoadedModel | None:
        """Finish the frames that wait and those under way, and end the threads; twice is harmless.

        Args:
            timeout: seconds to wait for a lane that hangs; it is left behind.

        Returns:
            The model that ran, for closing; None as `switch` has it, and the second time.
        """
        with self._ready:
            self._stopping = True
            self._ready.notify_all()
        crew, self._crew = self._crew, None
        return None if crew is None else _dismissed(crew, timeout)

    def _work(self, crew: _Crew, lane: Lane) -> None:
        preparer = Preparer(crew.form.spec.input)
        while (job := self._wait_for_job(crew)) is not None:
            crew.jobs[threading.current_thread()] = job
            result = self._run(crew, lane, preparer, job)
            job.stream.finish(job.ticket, job.frame, result, crew.form)

    def _wait_for_job(self, crew: _Crew) -> _Job | None:
        """The next frame; None where the crew is relieved, or nothing waits and the lanes are stopped."""
        with self._ready:
            while not crew.relieved:
                job = self._next_job(crew)
                if job is not None or self._stopping:
                    return job
                self._ready.wait()
            return None

    def _next_job(self, crew: _Crew) -> _Job | None:
        """A frame of the stream whose turn it is; holds the condition's lock."""
        for offset in range(len(self._streams)):
            place = (self._turn + offset) % len(self._streams)
            stream = self._streams[place]
            taken = stream.take()
            if taken is not None:
                self._turn = place + 1
                self._took_at = time.monotonic()
                return _Job(stream, crew.decoders[stream], *taken)
        return None

    @staticmethod
    def _run(crew: _Crew, lane: Lane, preparer: Preparer, job: _Job) -> Result | None:
        artifact, frame, timings = crew.form.artifact, job.frame, job.stream.timings
        begun = time.perf_counter()
        try:
            tensor = preparer.prepare(frame.image, frame.placement)
            prepared = time.perf_counter()
            outputs = lane.infer({crew.model.input_name: tensor})
            inferred = time.perf_counter()
            result = job.decoder.decode(outputs, frame.placement)
        except EdgetallyError as error:
            _faults.error("%s failed on frame %d: %s", artifact.id, frame.sequence, error)
            return None
        except Exception:  # noqa: BLE001 - the frame was not counted: the window says model_error, the lane goes on
            _faults.exception("%s failed on frame %d", artifact.id, frame.sequence)
            return None
        timings.add("resize", prepared - begun)
        timings.add("infer", inferred - prepared)
        timings.add("outputs", time.perf_counter() - inferred)
        return result


def _dismissed(crew: _Crew, timeout: float | None) -> LoadedModel | None:
    """The crew's model once its threads have ended; None where one does not within ``timeout`` seconds."""
    deadline = None if timeout is None else time.monotonic() + timeout
    for thread in (one for one in crew.threads if one.ident is not None):  # all, unless the system had none left
        thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
    if any(thread.is_alive() for thread in crew.threads):
        _log.error("a lane of %s does not end; it is left behind, with its memory", crew.form.artifact.id)
        crew.give_up()
        return None
    return crew.model
