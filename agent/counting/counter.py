"""Counting one camera: from what the model saw in a frame to counts, zones, visits and crossings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from agent.counting.density_zones import PICTURE, level_within
from agent.counting.lines import Crossing, LineCounter
from agent.counting.sightings import merge_doubles
from agent.counting.tracker import Tracker, TrackerSettings
from agent.counting.tracks import Track
from agent.counting.zones import ZoneCounter
from contracts.config import CameraConfig, LineConfig, ZoneConfig
from contracts.errors import DocumentError, did_you_mean
from contracts.model_spec import DensityOutput, ModelSpec
from runtime.results import DensityMap, Detections, Result

Kind = Literal["boxes", "density"]
"""What a model gives, as far as counting is concerned."""

KIND_OF_DECODER: Mapping[str, Kind] = {
    "density": "density",
    "yolo": "boxes",
    "yolox": "boxes",
    "nanodet": "boxes",
    "ssd": "boxes",
    "ssd-tflite": "boxes",
    "detr": "boxes",
    "mask-rcnn": "boxes",
    "faces": "boxes",
}
"""What the others give, no counter counts."""


@dataclass(frozen=True)
class FrameCounts:
    """What one frame adds.

    Args:
        count: things in the picture now: detections of at least the camera's score, those that lie on each other
            under two labels being one; or the density map's sum over the picture. Nothing of other frames enters it,
            so it is what the model's accuracy was proven on.
        zones: things in each zone now; see `ZoneCounter.update` for boxes.
        visits: visits that became certain, by zone; None for a model without boxes.
        crossings: those that became certain.
        tracks: what is followed, for those who draw it.
    """

    count: float
    zones: Mapping[str, float] = field(default_factory=dict)
    visits: Mapping[str, int] | None = None
    crossings: tuple[Crossing, ...] = ()
    tracks: tuple[Track, ...] = ()


class CameraCounter(Protocol):
    """Counts one camera; for one caller at a time, frames in the order in which they were taken."""

    def update(self, result: Result, at: float, aspect: float) -> FrameCounts:
        """Take in one frame.

        Args:
            result: what the model saw, of the kind that this counter is for.
            at: when the frame was taken, in monotonic seconds.
            aspect: width over height of the whole picture.

        Raises:
            TypeError: the result is of another kind.
        """

    def retune(self, model: ModelSpec) -> None:
        """Count the results from here on with the threshold of another form of the model; nothing is forgotten.

        Args:
            model: of the same labels and kind, with what was set anew for the form.
        """

    def take_over(self, before: CameraCounter) -> None:
        """Go on with what another counter of the same camera and model follows, and with its lines and zones that stay.

        Args:
            before: not used any more from here on.
        """


def open_counter(camera: CameraConfig, model: ModelSpec) -> CameraCounter:
    """The counter of a camera with a model.

    Raises:
        DocumentError: the camera asks for what this model cannot give, see `make_counter`; or nothing counts what the
            model gives.
    """
    kind = KIND_OF_DECODER.get(model.output.decoder)
    if kind is None:
        problem = (
            f"expected a model that gives boxes or a density map, {model.name!r} gives {model.output.decoder}, which "
            "nothing counts; choose another model"
        )
        raise DocumentError(f"camera {camera.id!r}", [problem])
    return make_counter(camera, model.labels, kind, _own_score(model))


def _own_score(model: ModelSpec) -> float | None:
    """The model's threshold; None for one that has none."""
    return None if isinstance(model.output, DensityOutput) else model.output.score


def make_counter(
    camera: CameraConfig, labels: Sequence[str], kind: Kind = "boxes", model_score: float | None = None
) -> CameraCounter:
    """The counter of a camera with a model of which only this is known.

    Args:
        camera: what is counted.
        labels: the model's.
        kind: what the model gives.
        model_score: its own threshold, which the camera's replaces; None where it has none.

    Raises:
        DocumentError: a line or zone names a label that the model lacks, or the model gives no boxes and the camera
            has lines, or zones that count only some of its labels.
    """
    problems = [*_unknown_labels(camera, labels), *_KINDS[kind].problems(camera, labels)]
    if problems:
        raise DocumentError(f"camera {camera.id!r}", problems)
    return _KINDS[kind](camera, labels, model_score)


def decoder_score(camera: CameraConfig, model: ModelSpec) -> float | None:
    """The threshold to decode with: half of the one to count with; None for a model that has none.

    Weak detections are not counted, but they keep a track alive through a moment of doubt.
    """
    if isinstance(model.output, DensityOutput):
        return None
    return (camera.score or model.output.score) * TrackerSettings.weak_share


class BoxCounter:
    """Counts detections; a camera without lines and zones is not tracked.

    Args:
        camera: what is counted; its ``score`` counts before the model's.
        labels: the model's.
        model_score: the model's own threshold, None for the tracker's default.
    """

    def __init__(self, camera: CameraConfig, labels: Sequence[str], model_score: float | None) -> None:
        self._score = camera.score
        self._settings = self._settings_for(model_score)
        self._tracker = Tracker(self._settings)
        self._lines = [LineCounter(line, labels) for line in camera.line]
        self._zones = [ZoneCounter(zone, labels) for zone in camera.zone]

    @staticmethod
    def problems(_camera: CameraConfig, _labels: Sequence[str]) -> list[str]:
        """What the camera asks for that boxes cannot give: nothing."""
        return []

    def retune(self, model: ModelSpec) -> None:
        """See `CameraCounter.retune`."""
        self._settings = self._tracker.settings = self._settings_for(_own_score(model))

    def take_over(self, before: CameraCounter) -> None:
        """See `CameraCounter.take_over`."""
        if not isinstance(before, BoxCounter):
            return
        tracker, lines, zones = before._tracker, before._lines, before._zones  # noqa: SLF001 - of the same class
        tracker.settings = self._settings
        self._tracker = tracker
        same_lines, same_zones = {line.line: line for line in lines}, {zone.zone: zone for zone in zones}
        self._lines = [same_lines.get(line.line, line) for line in self._lines]
        self._zones = [same_zones.get(zone.zone, zone) for zone in self._zones]

    def _settings_for(self, model_score: float | None) -> TrackerSettings:
        return TrackerSettings(score=self._score or model_score or TrackerSettings.score)

    def update(self, result: Result, at: float, aspect: float) -> FrameCounts:
        """See `CameraCounter.update`."""
        if not isinstance(result, Detections):
            raise TypeError(f"expected Detections, got {type(result).__name__}")
        count = len(merge_doubles(result, self._settings.score, self._settings.double_overlap))
        tracks = self._tracker.update(result, at, aspect) if self._lines or self._zones else ()
        crossings = tuple(crossing for line in self._lines for crossing in line.update(tracks, at))
        zones = {zone.zone.name: zone.update(tracks, at) for zone in self._zones}
        return FrameCounts(
            count=float(count),
            zones={name: present for name, (present, _) in zones.items()},
            visits={name: visits for name, (_, visits) in zones.items()},
            crossings=crossings,
            tracks=tracks,
        )


class DensityCounter:
    """Counts density maps: has no memory, follows nothing. The camera's ``score`` means nothing here.

    Args:
        camera: what is counted.
        labels: the model's; a density map counts all of them together.
        model_score: not used.
    """

    def __init__(self, camera: CameraConfig, labels: Sequence[str], model_score: float | None) -> None:
        del labels, model_score
        self._zones = camera.zone

    def retune(self, model: ModelSpec) -> None:
        """A density map has no threshold."""

    def take_over(self, before: CameraCounter) -> None:
        """A density map is counted without memory."""

    @staticmethod
    def problems(camera: CameraConfig, labels: Sequence[str]) -> list[str]:
        """What the camera asks for that a density map cannot give."""
        lines = [
            f"line {line.name!r} needs a model that gives boxes; this one gives a density map; "
            "remove it or choose a detector"
            for line in camera.line
        ]
        zones = [
            f"zone {zone.name!r} counts only {', '.join(zone.labels)}; this model's density map counts "
            f"{', '.join(labels)} together; remove its labels or choose a detector"
            for zone in camera.zone
            if zone.labels and not set(labels) <= set(zone.labels)
        ]
        return lines + zones

    def update(self, result: Result, at: float, aspect: float) -> FrameCounts:
        """See `CameraCounter.update`."""
        del at, aspect
        if not isinstance(result, DensityMap):
            raise TypeError(f"expected a DensityMap, got {type(result).__name__}")
        zones = {zone.name: level_within(result, zone.polygon) for zone in self._zones}
        return FrameCounts(count=level_within(result, PICTURE), zones=zones)


_KINDS: Mapping[Kind, type[BoxCounter | DensityCounter]] = {"boxes": BoxCounter, "density": DensityCounter}


def _unknown_labels(camera: CameraConfig, labels: Sequence[str]) -> list[str]:
    """One sentence for each label that the model lacks."""
    counted: Sequence[LineConfig | ZoneConfig] = [*camera.line, *camera.zone]
    return [
        f"{'line' if isinstance(one, LineConfig) else 'zone'} {one.name!r} counts {label!r}, which this model does not "
        f"know; its labels are {_listed(labels)}{did_you_mean(label, labels)}"
        for one in counted
        for label in one.labels
        if label not in labels
    ]


def _listed(labels: Sequence[str], most: int = 12) -> str:
    """The labels, or the first of many."""
    more = f" and {len(labels) - most} more" if len(labels) > most else ""
    return ", ".join(labels[:most]) + more
