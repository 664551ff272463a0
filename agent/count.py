"""Counting one source from beginning to end, with no broker and no store: every frame, as fast as they go."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from agent.cameras.frame import Frame, Source, Wanted
from agent.cameras.slot import FrameSlot
from agent.cameras.table import open_source
from agent.counting.counter import FrameCounts, decoder_score, open_counter
from agent.counting.totals import in_all, tally
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


@dataclass
class Summary:
    """What was counted.

    Args:
        camera: its lines and zones.
        artifact: what counted.
        each: whether `document` lists every frame.
        frames: number in the source and counts, of every frame.
    """

    camera: CameraConfig
    artifact: str
    each: bool
    frames: list[tuple[int, FrameCounts]] = field(default_factory=list)

    def document(self) -> dict[str, object]:
        """The summary as plain data; ``count`` is there where no line and no zone was asked for."""
        document: dict[str, object] = {"frames": len(self.frames), "artifact": self.artifact}
        if self.camera.line:
            document["lines"] = {line.name: self.line(line.name) for line in self.camera.line}
        if self.camera.zone:
            document["zones"] = {zone.name: self.zone(zone.name) for zone in self.camera.zone}
        if not self.camera.line and not self.camera.zone:
            document["count"] = self.count()
        if self.each:
            document["each"] = [
                {"frame": number, "count": round(counts.count, 3)}
                | ({"zones": {name: round(value, 3) for name, value in counts.zones.items()}} if counts.zones else {})
                for number, counts in self.frames
            ]
        return document

    def line(self, name: str) -> dict[str, object]:
        """Crossings of a line."""
        crossed = tally(c for _, counts in self.frames for c in counts.crossings if c.line == name)
        return {"in": in_all(crossed, "in"), "out": in_all(crossed, "out"), "by_label": crossed}

    def zone(self, name: str) -> dict[str, object]:
        """The level of a zone, and visits where the model gives boxes."""
        level = _level([counts.zones[name] for _, counts in self.frames])
        visits = [counts.visits[name] for _, counts in self.frames if counts.visits is not None]
        return {**level, "visits": sum(visits) if visits else None}

    def count(self) -> Mapping[str, float | None]:
        """The level of the whole picture."""
        return _level([counts.count for _, counts in self.frames])


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
    watching = watching or Watching()
    stop = threading.Event()
    source = open_source(camera, Wanted(spec.input), stop)
    try:
        model = _load(request, bundle, watching)
        counter.retune(model.spec)
        summary = Summary(camera, model.artifact.id, request.each)
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


def _camera(request: CountRequest, spec: ModelSpec) -> CameraConfig:
    for label in request.labels:
        if label not in spec.labels:
            raise UnknownNameError("label", label, spec.labels)
    document = {
        "id": "count",
        "source": request.source,
        "realtime": False,
        "score": request.score,
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


def _level(values: list[float]) -> dict[str, float | None]:
    if not values:
        return {"last": None, "mean": None, "max": None}
    return {
        "last": round(values[-1], 3),
        "mean": round(float(np.mean(values)), 3),
        "max": round(max(values), 3),
    }
