"""Counting one camera: from what the model saw in a frame to counts, zones, visits and crossings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from agent.counting.box_counter import BoxCounter
from agent.counting.counted_model import CountedModel
from agent.counting.density_counter import DensityCounter
from agent.counting.frame_counts import FrameCounts
from agent.counting.state_counter import StateCounter
from agent.counting.states import Question, questions_of
from agent.counting.tracker import TrackerSettings
from contracts.config import CameraConfig, LineConfig, ZoneConfig
from contracts.errors import DocumentError, did_you_mean
from contracts.model_spec import DensityOutput, ModelSpec
from contracts.output_spec import ClassesOutput
from runtime.results import Result

Kind = Literal["boxes", "density", "states"]
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
    "classes": "states",
}
"""What the others give, no counter counts."""


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
            f"expected a model that gives boxes, a density map or classes, {model.name!r} gives "
            f"{model.output.decoder}, which nothing counts; choose another model"
        )
        raise DocumentError(f"camera {camera.id!r}", [problem])
    return _open(camera, CountedModel.of(model), kind)


def questions_asked(model: ModelSpec) -> tuple[Question, ...]:
    """The questions whose states a model's counter follows; none where it gives no classes."""
    counted = CountedModel.of(model)
    is_asked = KIND_OF_DECODER.get(model.output.decoder) == "states"
    return questions_of(counted.labels, counted.heads) if is_asked else ()


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
        DocumentError: a line or zone names a label that the model lacks, or the camera asks for what this kind of
            model cannot give: lines, zones, or a key that is for another kind.
    """
    return _open(camera, CountedModel(tuple(labels), model_score), kind)


def _open(camera: CameraConfig, model: CountedModel, kind: Kind) -> CameraCounter:
    problems = [
        *_unknown_labels(camera, model.labels),
        *_misplaced_keys(camera, kind),
        *_KINDS[kind].problems(camera, model),
    ]
    if problems:
        raise DocumentError(f"camera {camera.id!r}", problems)
    return _KINDS[kind](camera, model)


def decoder_score(camera: CameraConfig, model: ModelSpec) -> float | None:
    """The threshold to decode with; None for a model that has none. For boxes it is half of the one to count with.

    Weak detections are not counted, but they keep a track alive through a moment of doubt.
    """
    if isinstance(model.output, DensityOutput):
        return None
    if isinstance(model.output, ClassesOutput):
        return camera.score or model.output.score
    return (camera.score or model.output.score) * TrackerSettings.weak_share


_KINDS: Mapping[Kind, type[BoxCounter | DensityCounter | StateCounter]] = {
    "boxes": BoxCounter,
    "density": DensityCounter,
    "states": StateCounter,
}
_KEY_IS_FOR: Mapping[str, tuple[Kind, ...]] = {
    "scale": ("density",),
    "smoothing_seconds": ("density", "boxes"),
    "states": ("states",),
}
_GIVES: Mapping[Kind, str] = {"boxes": "boxes", "density": "a density map", "states": "classes"}


def _misplaced_keys(camera: CameraConfig, kind: Kind) -> list[str]:
    """One sentence for each key that means nothing with this kind of model."""
    return [
        f"{key!r} is for models that give {' or '.join(_GIVES[one] for one in kinds)}, this one gives {_GIVES[kind]}; "
        "take it out"
        for key, kinds in _KEY_IS_FOR.items()
        if kind not in kinds and getattr(camera, key) != CameraConfig.model_fields[key].default
    ]


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
