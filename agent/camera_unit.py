"""One camera from source to counts: its capture, its place in the lanes, its counter and its window."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agent.cameras.capture import Capture, CaptureStatus
from agent.cameras.frame import Frame, Source, Wanted
from agent.cameras.slot import FrameSlot
from agent.cameras.table import kind_of, open_source
from agent.counting.clock import ClockWindow, utc_text
from agent.counting.counter import decoder_score, open_counter, questions_asked
from agent.counting.frame_counts import FrameCounts
from agent.counting.gaps import longest_gap
from agent.counting.smoothing import Smoother
from agent.counting.totals import LineTotals
from agent.counting.window import WindowAccumulator, WindowCounts
from agent.drift.counts import UsualHours
from agent.drift.watch import DriftWatch
from agent.lanes import Stream
from agent.model import RunningForm
from agent.page.ports import Look
from agent.states_now import StatesNow
from agent.timings import Timings
from agent.tuning.pace import Frames
from agent.update.shadow import ShadowTap
from agent.view import QUALITY_OF, ViewWatch
from contracts.config import CameraConfig
from contracts.health import CameraHealth
from contracts.messages import CameraState, Quality
from contracts.model_spec import ModelSpec
from contracts.output_spec import DensityOutput
from runtime.decoders.table import Decoder, open_decoder
from runtime.results import Result

SourceOpener = Callable[[CameraConfig, Wanted, threading.Event], Source]

_FPS_OVER = 5.0  # seconds that the frame rate is the mean of


@dataclass(frozen=True)
class _Counted:
    """The last frame that was counted, what it gave, and what is shown of it: the counts, smoothed if that is asked."""

    frame: Frame
    counts: FrameCounts
    result: Result


class CameraUnit:
    """Counts one camera. Frames come from the lanes' threads, everything else from the daemon's.

    Args:
        camera: what is counted.
        spec: the model.
        ready: notified when a frame waits.
        device: the box's id.
        opener: opens the source.

    Attributes:
        model: which of the box's models counts it.
        tap: where frames are left for a model that runs beside the one that counts; None while none does.
        drift: whether it still sees and counts as it used to; another one after it was changed.
        counted: frames counted since the start.
        first_counted_at: monotonic seconds, None before the first.
        last_counted_at: the same of the last.

    Raises:
        DocumentError: the camera asks for what the model cannot give.
    """

    def __init__(
        self,
        camera: CameraConfig,
        spec: ModelSpec,
        ready: threading.Condition,
        device: str,
        opener: SourceOpener = open_source,
    ) -> None:
        self.id = camera.id
        self.model = camera.model
        self._camera = camera
        self._spec = spec
        self._view = ViewWatch(camera.frozen_after)
        self.drift = DriftWatch(camera, spec)
        self.tap: ShadowTap | None = None
        self.counted = 0
        self.first_counted_at: float | None = None
        self.last_counted_at: float | None = None
        self._device = device
        self._gap = longest_gap(camera)
        self._ready = ready
        self._lock = threading.Lock()
        self._counter = open_counter(camera, spec)
        self._smoother = Smoother(camera)
        questions = questions_asked(spec)
        self._states = StatesNow(camera.id, questions)
        self._window = WindowAccumulator(camera, time.monotonic(), questions=questions)
        self._quality: Quality = "no_camera"
        self._last: _Counted | None = None
        self._counted_at: deque[float] = deque(maxlen=1024)
        self._uncounted: Counter[str] = Counter()
        live = kind_of(camera.source).live
        self._slot = FrameSlot(keep_all=not live and not camera.realtime, on_ready=self._notify)
        # A file that breaks is not read again from its beginning: what it showed is counted.
        self._capture = Capture(
            camera, Wanted(spec.input, fps=lambda: self._camera.fps), self._slot, opener=opener, retry=live
        )
        self._form: RunningForm | None = None
        self.stream = Stream(
            self._slot, self._decoder, self._take, self._shows_something, Timings(), begins=self._count_with
        )

    def start(self) -> None:
        """Open the camera."""
        self._capture.start()

    @property
    def camera(self) -> CameraConfig:
        """What is counted now."""
        return self._camera

    def change(self, camera: CameraConfig, window: ClockWindow) -> WindowCounts:
        """Go on with other lines, zones and limits while the camera stays open; what is followed stays followed.

        The stream has to be given to the lanes anew, as its results may be decoded with another threshold.

        Args:
            camera: the same one; it differs in `agent.remote.plan.IN_PLACE` only.
            window: the open one, cut at this moment.

        Returns:
            What it adds up to so far.

        Raises:
            DocumentError: the camera asks for what the model cannot give; then nothing has changed.
        """
        counter = open_counter(camera, self._spec)
        dropped = self._all_dropped(self._capture.status())
        with self._lock:
            counts = self._window.close(window, dropped, everything=True)
            counter.take_over(self._counter)
            if self._form is not None:
                counter.retune(self._form.spec)
            self._counter, self._camera = counter, camera
            self._smoother = Smoother(camera)
            self._gap = longest_gap(camera)
            self._view.frozen_after = camera.frozen_after
            self._window.redefine(camera)
        self.drift.close(window, counts)
        self.drift = self.drift.changed(camera)
        return counts

    def follow_model(self, spec: ModelSpec) -> None:
        """Another version of the model counts from here on, which gives the same kind of results for the same frames.

        What was usual of the camera with the one before says nothing of this one.
        """
        with self._lock:
            self._spec = spec
        self.drift = DriftWatch(self._camera, spec)

    def close(self, timeout: float = 15.0) -> None:
        """Let go of the camera; twice is harmless.

        Args:
            timeout: seconds to wait for it; it ends later by itself.
        """
        self._capture.close(timeout)

    @property
    def ended(self) -> bool:
        """Whether the source has ended and all its frames are counted."""
        return self._capture.status().state == "ended" and self._slot.empty and self.stream.idle

    @property
    def gone(self) -> bool:
        """Whether it has let go of the camera."""
        return self._capture.close(0.0)

    @property
    def problem(self) -> str | None:
        """What is wrong with the camera, without credentials."""
        return self._capture.status().problem

    def frames_so_far(self) -> Frames:
        """How many came, and how many of them were too late to be counted."""
        status = self._capture.status()
        return Frames(status.frames, status.dropped.get("late", 0))

    def usual(self, wall: float) -> UsualHours | None:
        """What its own weeks say of the hours to come; None where that is not known.

        Args:
            wall: seconds since 1970.
        """
        return self.drift.usual(wall)

    def look(self, now: float, *, served: bool = True) -> None:
        """Notice that frames stopped coming, or that nobody counts them.

        Args:
            now: monotonic seconds.
            served: whether a model runs.
        """
        status = self._capture.status()
        with self._lock:
            if status.state in {"opening", "lost", "ended"}:
                self._note("no_camera", now)
            elif not served:
                self._note("model_error", now)
            elif self._quality == "ok" and now - (self.last_counted_at or now) > self._gap:
                # Counted, not captured: a lane that hangs is no better than a camera that does.
                self._note("stale", now)

    def close_window(self, window: ClockWindow, *, everything: bool = False) -> WindowCounts:
        """What the window that ended adds up to.

        Args:
            window: the one that ended.
            everything: the camera goes, so that frames after the window's end count for it too.
        """
        dropped = self._all_dropped(self._capture.status())
        with self._lock:
            counts = self._window.close(window, dropped, everything=everything)
        self.drift.close(window, counts)
        return counts

    def state(self, totals: Mapping[tuple[str, str], LineTotals], wall: float) -> CameraState:
        """What the camera shows now; with no fresh frame its counts are None.

        Args:
            totals: committed totals by camera and line.
            wall: seconds since 1970.
        """
        with self._lock:
            quality, last, camera = self._quality, self._last, self._camera
            states = self._states.told(totals, fresh=quality == "ok")
        fresh = last.counts if last is not None and quality == "ok" else None
        return CameraState(
            device=self._device,
            camera=self.id,
            at=utc_text(wall),
            available=quality == "ok",
            quality=quality,
            frame=last.frame.sequence if last is not None else None,
            count=None if fresh is None or fresh.count is None else round(fresh.count, 3),
            zones={zone.name: _rounded(fresh, zone.name) for zone in camera.zone},
            lines={
                line.name: _in_out(totals[self.id, line.name]) for line in camera.line if (self.id, line.name) in totals
            },
            states=states,
        )

    def look_at(self) -> Look | None:
        """The last frame that was counted, and what the model saw in it; None before the first."""
        with self._lock:
            last, form = self._last, self._form
        if last is None or form is None:
            return None
        frame, output = last.frame, form.spec.output
        return Look(
            image=frame.image,
            aspect=frame.placement.aspect,
            sequence=frame.sequence,
            taken_at=frame.wall_time,
            result=last.result,
            labels=form.spec.labels,
            score=0.0 if isinstance(output, DensityOutput) else self._camera.score or output.score,
            camera=self.id,
        )

    def health(self, now: float) -> CameraHealth:
        """How the camera runs; ``now`` in monotonic seconds."""
        status = self._capture.status()
        with self._lock:
            recent = [at for at in self._counted_at if now - at <= _FPS_OVER]
            quality = self._quality
        return CameraHealth(
            fps=round(len(recent) / _FPS_OVER, 1),
            latency_ms=self.stream.timings.latency("total"),
            frames_seen=status.frames,
            frames_dropped=self._all_dropped(status),
            reconnects=status.reconnects,
            quality=quality,
            problem=status.problem,
            drift=self.drift.report(),
        )

    def _shows_something(self, frame: Frame) -> bool:
        """Whether the model may be asked about the frame."""
        fault = self._view.look(frame.image, frame.shown_at)
        if fault is None:
            return True
        with self._lock:
            self._uncounted[fault] += 1
            self._note(QUALITY_OF[fault], frame.captured_at)
        return False

    def _all_dropped(self, status: CaptureStatus) -> dict[str, int]:
        """Frames that came and were not counted, by cause, since the start."""
        return {**status.dropped, **self._uncounted}

    def _decoder(self, spec: ModelSpec) -> Decoder:
        return open_decoder(spec, score=decoder_score(self._camera, spec))

    def _count_with(self, form: RunningForm) -> None:
        """The frames from here on are read by this form of the model, with its threshold; tracks go on."""
        with self._lock:
            self._form = form
            self._counter.retune(form.spec)

    def _take(self, frame: Frame, result: Result | None) -> None:
        """A frame came out of the lanes, in order."""
        if (tap := self.tap) is not None:
            tap.offer(self.id, frame, result)
        with self._lock:
            if result is None:
                self._uncounted["model_error"] += 1
                self._note("model_error", frame.captured_at)
                return
            counts = self._counter.update(result, frame.shown_at, frame.placement.aspect)
            digest = self._form.artifact.digest if self._form is not None else None
            self._window.observe(counts, frame.captured_at, digest)
            self._quality = "ok"
            self._last = _Counted(frame, self._smoother.update(counts, frame.shown_at), result)
            self._states.take(counts.states, frame.wall_time)
            self.drift.see(frame.image, result, counts.count, frame.captured_at)
            self.last_counted_at = time.monotonic()
            self.first_counted_at = self.first_counted_at or self.last_counted_at
            self.counted += 1
            self._counted_at.append(self.last_counted_at)

    def _note(self, quality: Quality, at: float) -> None:
        self._quality = quality
        self._window.note(quality, at)

    def _notify(self) -> None:
        with self._ready:
            self._ready.notify()


def _rounded(fresh: FrameCounts | None, zone: str) -> float | None:
    """How many a zone holds; None where no fresh frame says so, also of a zone that is new."""
    level = None if fresh is None else fresh.zones.get(zone)
    return None if level is None else round(level, 3)


def _in_out(total: LineTotals) -> dict[str, int]:
    return {"in": total.total_in, "out": total.total_out}
