"""A new model beside the old one, on the cameras' own frames: it counts nothing, and those that count never wait."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from av.video.frame import VideoFrame

from agent.cameras.frame import Frame
from agent.counting.counter import decoder_score
from agent.counting.density_zones import PICTURE, level_within
from agent.counting.sightings import merge_doubles
from agent.counting.states import questions_of
from agent.counting.tracker import TrackerSettings
from agent.limited_log import LimitedLog
from agent.model import LoadedModel
from agent.update.comparison import THINGS, Alike, Seen, ShadowJudge
from agent.update.errors import UpdateError, UpdateStoppedError
from agent.update.ports import Note, Stopped
from contracts.config import CameraConfig
from contracts.documents import without_credentials
from contracts.model_spec import InputSpec, ModelSpec
from contracts.output_spec import ClassesOutput, DensityOutput
from runtime.decoders.table import Decoder, open_decoder
from runtime.pictures import Scaler
from runtime.prepare import Placement, Preparer, place
from runtime.results import UNSURE, Classes, DensityMap, Detections, Picture, Result

_log = logging.getLogger(__name__)
_faults = LimitedLog(_log)

_LOOK = 0.5  # seconds between two looks at whether it is still wanted
_NICE = 10  # of the thread; what counts comes first
_FINE = 10_000  # rows that stand for a picture of which only the shape is known
_UNSURE = "unsure"
_MOST_SCALERS = 16


@dataclass(frozen=True)
class Offered:
    """A frame that was just counted, and what the model that counts saw in it."""

    camera: str
    frame: Frame
    result: Result


class ShadowTap:
    """Where the lanes leave frames for the new model: one of each camera waits at the most, all others go by.

    Args:
        fps: frames of each camera a second that are wanted.
    """

    def __init__(self, fps: float) -> None:
        self._gap = 1.0 / fps
        self._due: dict[str, float] = {}
        self._waiting: dict[str, Offered] = {}
        self._ready = threading.Condition()
        self._closed = False

    def offer(self, camera: str, frame: Frame, result: Result | None) -> None:
        """A frame was counted; from any thread, one at a time for a camera. It never waits for the new model.

        Args:
            camera: its id.
            frame: kept until it is taken, so nobody may change it.
            result: None where the model that counts failed on it: then there is nothing to compare with.
        """
        if self._closed or result is None or frame.captured_at < self._due.get(camera, -1.0):
            return
        with self._ready:
            if not self._closed and camera not in self._waiting:
                self._due[camera] = frame.captured_at + self._gap
                self._waiting[camera] = Offered(camera, frame, result)
                self._ready.notify()

    def take(self, timeout: float) -> Offered | None:
        """The frame that waits longest; None where none came within ``timeout`` seconds, or it is closed."""
        with self._ready:
            self._ready.wait_for(lambda: self._waiting or self._closed, timeout)
            if not self._waiting:
                return None
            return self._waiting.pop(next(iter(self._waiting)))

    def close(self) -> None:
        """Take no more frames, and let go of those that wait; twice is harmless."""
        with self._ready:
            self._closed = True
            self._waiting.clear()
            self._ready.notify_all()


@dataclass(frozen=True)
class Pair:
    """The two models of a slot.

    Args:
        old: the spec of what counts now; None while nothing does.
        new: the other, loaded; its first lane is used, by one thread.
        cameras: the slot's, by their ids.
    """

    old: Callable[[], ModelSpec | None]
    new: LoadedModel
    cameras: Callable[[], Mapping[str, CameraConfig]]


def run_shadow(
    tap: ShadowTap,
    pair: Pair,
    judge: ShadowJudge,
    *,
    note: Note,
    stopped: Stopped,
    limit: float,
    clock: Callable[[], float] = time.monotonic,
) -> str:
    """Compare until it is decided; to be run by a thread of its own, which it makes stand back.

    Args:
        tap: closed in the end, however it comes.
        pair: what is compared.
        judge: decides.
        note: told how far it is.
        stopped: asked a few times a second.
        limit: seconds after which it is given up without a decision.
        clock: monotonic seconds, as the judge has them.

    Returns:
        That they see about the same, with the numbers.

    Raises:
        UpdateError: ``counts_differ``, ``cannot_count``, or ``held_too_long`` with what it would have taken.
        UpdateStoppedError: it was stopped.
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
    shadow = _Shadow(pair, judge)
    deadline = clock() + limit
    try:
        while True:
            if stopped():
                raise UpdateStoppedError("the comparison was stopped")
            offered = tap.take(_LOOK)
            if offered is not None:
                shadow.compare(offered)
            found = judge.decide(clock())
            if isinstance(found, Alike):
                return found.text
            if clock() > deadline:
                raise UpdateError("held_too_long", f"after {limit:.0f} s it is not decided: {found.text}")
            note(found.text, found.fraction)
    finally:
        tap.close()


class _Shadow:
    """Asks the new model about frames."""

    def __init__(self, pair: Pair, judge: ShadowJudge) -> None:
        self._pair = pair
        self._judge = judge
        self._spec = pair.new.spec
        self._preparer = Preparer(self._spec.input)
        self._refit = Refitter(self._spec.input)
        self._decoders: dict[tuple[str, float | None], Decoder] = {}

    def compare(self, offered: Offered) -> None:
        """Have both models' views of a frame judged."""
        camera, spec = self._pair.cameras().get(offered.camera), self._pair.old()
        if camera is None or spec is None:  # it went meanwhile
            return
        try:
            old, new = (
                seen_of(offered.result, spec, camera),
                seen_of(self._ask(camera, offered.frame), self._spec, camera),
            )
        except Exception as error:  # noqa: BLE001 - whatever a runtime raises: the new model did not see the frame
            _faults.error("the new model failed on frame %d of %s: %s", offered.frame.sequence, offered.camera, error)
            self._judge.fail(without_credentials(str(error)))
            return
        self._judge.take(offered.camera, old, new)

    def _ask(self, camera: CameraConfig, frame: Frame) -> Result:
        picture, placement = self._refit(frame)
        if picture.shape != frame.image.shape:
            (height, width), (was_high, was_wide) = picture.shape[:2], frame.image.shape[:2]
            self._judge.remark(
                f"camera {camera.id} was shown to it scaled from {was_wide}x{was_high} to {width}x{height}, so it saw "
                "no more than the old one"
            )
        score = decoder_score(camera, self._spec)
        decoder = self._decoders.setdefault((camera.id, score), open_decoder(self._spec, score=score))
        model = self._pair.new
        outputs = model.lanes[0].infer({model.input_name: self._preparer.prepare(picture, placement)})
        return decoder.decode(outputs, placement)


class Refitter:
    """Makes a frame that was scaled for one model fit another one.

    A frame holds the whole view, without padding, in the size that the model which counts asked for. Where the other
    one asks for the same size it gets the same bytes that the camera would give it. Where not, the picture is scaled
    once more: what was lost on the way to a smaller size does not come back, and what is made smaller twice is a
    little softer than what is made smaller once.

    Args:
        spec: the other model's input.
    """

    def __init__(self, spec: InputSpec) -> None:
        self._spec = spec
        self._scalers: dict[Placement, Scaler] = {}

    def __call__(self, frame: Frame) -> tuple[Picture, Placement]:
        """The picture in the other model's size, and where it lies in its input."""
        placement = self._placement(frame.placement)
        if frame.image.shape[:2] == (placement.height, placement.width):
            return frame.image, placement
        if len(self._scalers) >= _MOST_SCALERS:
            self._scalers.clear()
        scaler = self._scalers.setdefault(placement, Scaler(lambda *_: placement))
        return scaler.scale(VideoFrame.from_ndarray(np.ascontiguousarray(frame.image), "bgr24"))

    def _placement(self, before: Placement) -> Placement:
        """From the view's shape: of a letterboxed picture the size itself, which rounding left as it is."""
        if before.source_aspect is None:
            return place(self._spec, before.width, before.height)
        return place(self._spec, max(1, round(before.source_aspect * _FINE)), _FINE)


def seen_of(result: Result, spec: ModelSpec, camera: CameraConfig) -> Seen:
    """What counts of a result, without anything that other frames would add.

    Args:
        result: of one frame.
        spec: of the model that gave it, with what was set anew for its form.
        camera: its score and scale count before the model's.

    Raises:
        TypeError: it is of a kind that nothing counts.
    """
    if isinstance(result, Detections):
        assert not isinstance(spec.output, DensityOutput)
        score = camera.score or spec.output.score
        amounts = dict.fromkeys(spec.labels, 0.0)
        for sighting in merge_doubles(result, score, TrackerSettings.double_overlap):
            amounts[spec.labels[sighting.label]] += 1
        return Seen(amounts=amounts)
    if isinstance(result, DensityMap):
        return Seen(amounts={THINGS: camera.scale * level_within(result, PICTURE)})
    if isinstance(result, Classes) and isinstance(spec.output, ClassesOutput):
        questions = questions_of(spec.labels, spec.output.head)
        said = [_UNSURE if one == UNSURE else spec.labels[one] for one in result.class_ids.tolist()]
        return Seen(answers={question.name: answer for question, answer in zip(questions, said, strict=True)})
    raise TypeError(f"expected boxes, a density map or classes, got {type(result).__name__}")
