"""Counting one source from beginning to end, with no broker and no store: every frame, as fast as they go."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent.cameras.frame import Frame, Source, Wanted
from agent.cameras.slot import FrameSlot
from agent.cameras.table import open_source
from agent.count_summary import Summary
from agent.counting.counter import KIND_OF_DECODER, decoder_score, open_counter, questions_asked
from agent.engines.supply import EngineSupply
from agent.facts import device_facts
from agent.lanes import LanePool, Stream
from agent.model import LoadedModel, load_when_built
from agent.settings import user_engines_dir
from contracts.config import CameraConfig, RuntimeConfig
from contracts.documents import read_document
from contracts.errors import ArtifactError, CameraError, UnknownNameError, WrittenError
from contracts.model_spec import ModelSpec
from runtime.bundle import Bundle, open_bundle
from runtime.decoders.table import Decoder, open_decoder
from runtime.results import Detections, Result
from runtime.tensorrt.build import BuildProgress

_POINT = 2  # numbers
_LINE = 4  # numbers


@dataclass(frozen=True)
class CountRequest:
    """What is counted.

    Args:
        source: a clip, folder, camera or the synthetic road.
        bundle: folder of the bundle.
        lines: ``NAME:x1,y1,x2,y2`` in 0 to 1.
        zones: ``NAME:x1,y1,x2,y2,x3,y3...`` in 0 to 1.
        labels: count only these; all where empty.
        score: instead of the model's own threshold.
        artifact: take this one, or refuse.
        frames: stop after so many.
        each: keep the count of every frame.
        fps: count at most so many frames a second; of a folder, the rate at which its pictures were taken.
        true: how many there truly are, on average over the frames; a density model's ``scale`` is found with it.
        engines: where the engines of this box are kept; the user's cache where None.
    """

    source: str
    bundle: Path
    lines: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    score: float | None = None
    artifact: str | None = None
    frames: int | None = None
    each: bool = False
    fps: float | None = None
    true: float | None = None
    engines: Path | None = None


@dataclass(frozen=True)
class Watching:
    """Told how far it is, by whoever counts.

    Args:
        counted: how many frames are counted, after each.
        building: whose engine is being built, and how far that is, a few times a second.
    """

    counted: Callable[[int], None] = lambda _: None
    building: Callable[[str, BuildProgress], None] = lambda *_: None


def count_source(request: CountRequest, watching: Watching | None = None) -> Summary:
    """Count a source to its end, after waiting for the engine where the best artifact needs one.

    Args:
        request: what and how.
        watching: told how far it is.

    Raises:
        EdgetallyError: a flag, the bundle or the source cannot be used, or the model failed on a frame.
    """
    bundle = open_bundle(request.bundle)
    spec = bundle.manifest.model
    camera = _camera(request, spec)
    counter = open_counter(camera, spec)
    _check_asked(request, spec)
    watching = watching or Watching()
    stop = threading.Event()
    source = open_source(camera, Wanted(spec.input), stop)
    try:
        model = _load(request, bundle, watching)
        counter.retune(model.spec)
        questions = tuple(question.name for question in questions_asked(spec))
        summary = Summary(camera, model.artifact.id, request.each, questions, request.true)
        failed: list[int] = []

        def take(frame: Frame, result: Result | None) -> None:
            if result is None:
                failed.append(frame.sequence)
                return
            counts = counter.update(_only(result, request.labels, spec), frame.shown_at, frame.placement.aspect)
            summary.frames.append((frame.sequence, counts))
            watching.counted(len(summary.frames))

        _run(source, model, camera, take, request.frames)
    finally:
        stop.set()
        source.close()
    _check(summary, failed, request.source)
    return summary


def _load(request: CountRequest, bundle: Bundle, watching: Watching) -> LoadedModel:
    facts = device_facts()
    engines = EngineSupply(request.engines or user_engines_dir(), facts)
    return load_when_built(bundle, facts, RuntimeConfig(artifact=request.artifact), engines, watching.building)


def _run(
    source: Source,
    model: LoadedModel,
    camera: CameraConfig,
    take: Callable[[Frame, Result | None], None],
    limit: int | None,
) -> None:
    """Every frame of the source through the lanes, at most ``limit``."""
    ready = threading.Condition()

    def notify() -> None:
        with ready:
            ready.notify()

    def decode_as(form: ModelSpec) -> Decoder:
        return open_decoder(form, score=decoder_score(camera, form))

    slot = FrameSlot(keep_all=True, on_ready=notify)
    pool = LanePool([Stream(slot, decode_as, take)], ready)
    pool.switch(model)
    try:
        read = 0
        while (limit is None or read < limit) and (frame := source.read()) is not None:
            slot.put(frame)
            read += 1
    finally:
        pool.stop()
        model.close()


def _check(summary: Summary, failed: list[int], source: str) -> None:
    if failed:
        raise ArtifactError(
            f"{summary.artifact} failed on {len(failed)} frames, the first is frame {failed[0]}; see the log"
        )
    if not summary.frames:
        raise CameraError(source, "expected frames, got none", "check the source")


def _check_asked(request: CountRequest, spec: ModelSpec) -> None:
    """Refuse what this kind of model cannot give."""
    kind = KIND_OF_DECODER[spec.output.decoder]
    if request.true is not None and kind != "density":
        raise WrittenError(f"--true is for models that give a density map, {spec.name!r} gives {kind}; leave it out")
    if request.labels and kind == "states":
        raise WrittenError(f"--label is for models that find things, {spec.name!r} classifies; leave it out")


def _camera(request: CountRequest, spec: ModelSpec) -> CameraConfig:
    for label in request.labels:
        if label not in spec.labels:
            raise UnknownNameError("label", label, spec.labels)
    document = {
        "id": "count",
        "source": request.source,
        "realtime": False,
        "score": request.score,
        "fps": request.fps,
        "line": [_line(text, request.labels) for text in request.lines],
        "zone": [_zone(text, request.labels) for text in request.zones],
    }
    return read_document(CameraConfig, document, "command line")


def _line(text: str, labels: tuple[str, ...]) -> dict[str, object]:
    name, numbers = _named_numbers("--line", text, "NAME:x1,y1,x2,y2")
    if len(numbers) != _LINE:
        raise WrittenError(f"--line should be NAME:x1,y1,x2,y2 with 4 numbers, got {len(numbers)} in {text!r}")
    return {"name": name, "start": numbers[:_POINT], "end": numbers[_POINT:], "labels": labels}


def _zone(text: str, labels: tuple[str, ...]) -> dict[str, object]:
    name, numbers = _named_numbers("--zone", text, "NAME:x1,y1,x2,y2,x3,y3…")
    if len(numbers) % _POINT:
        raise WrittenError(f"--zone should have an even count of numbers, got {len(numbers)} in {text!r}")
    points = [numbers[i : i + _POINT] for i in range(0, len(numbers), _POINT)]
    return {"name": name, "polygon": points, "labels": labels}


def _named_numbers(flag: str, text: str, form: str) -> tuple[str, list[float]]:
    name, colon, rest = text.partition(":")
    try:
        numbers = [float(number) for number in rest.split(",")]
    except ValueError:
        numbers = []
    if not colon or not numbers:
        raise WrittenError(f"{flag} should be {form} with coordinates in 0 to 1, got {text!r}")
    return name, numbers


def _only(result: Result, labels: tuple[str, ...], spec: ModelSpec) -> Result:
    """Only the labels asked for; a density map cannot be told apart."""
    if not labels or not isinstance(result, Detections):
        return result
    kept = np.isin(result.class_ids, [spec.labels.index(label) for label in labels])
    return Detections(result.boxes[kept], result.scores[kept], result.class_ids[kept])
