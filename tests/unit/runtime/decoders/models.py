"""Models of every family of boxes, small, and outputs that stand for given things: the inverse of decoding."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts.model_spec import ModelSpec
from runtime.decoders.table import open_decoder
from runtime.prepare import Placement
from runtime.results import Detections

WIDTH, HEIGHT = 128, 96
LABELS = ("car", "truck", "person")
Outputs = dict[str, NDArray[Any]]


class Thing(NamedTuple):
    """A box in pixels of the input, with score and label."""

    x1: float
    y1: float
    x2: float
    y2: float
    score: float
    label: int


def spec(output: Mapping[str, Any], *, labels: Sequence[str] = LABELS, **size: Any) -> ModelSpec:
    document = {"name": "m", "version": "1.0.0", "labels": list(labels), "output": dict(output)}
    return ModelSpec.model_validate(document | {"input": {"width": WIDTH, "height": HEIGHT} | size})


THINGS_TWO = (Thing(10, 10, 40, 40, 0.9, 1), Thing(70, 50, 110, 90, 0.8, 0))


@dataclass(frozen=True)
class Family:
    """One way in which a model may give boxes.

    Args:
        output: the table of model.toml.
        encode: things to the outputs that stand for them.
        labels: of the model.
        candidates: names of the outputs whose rows may stand in any order, with the axis of the rows.
    """

    output: Mapping[str, Any]
    encode: Callable[[Sequence[Thing]], Outputs]
    labels: tuple[str, ...] = LABELS
    candidates: Mapping[str, int] = field(default_factory=dict)

    def model(self, **size: Any) -> ModelSpec:
        return spec(self.output, labels=self.labels, **size)


def decode(
    model: ModelSpec, outputs: Outputs, where: Placement | None = None, score: float | None = None
) -> Detections:
    result = open_decoder(model, score=score).decode(outputs, where or whole(model))
    assert isinstance(result, Detections)
    return result


def whole(model: ModelSpec) -> Placement:
    """A picture that fills the input, so that its coordinates are shares of the input's."""
    return Placement(0, 0, model.input.width, model.input.height, model.input.width, model.input.height)


def logit(score: float) -> float:
    return math.log(score / (1 - score))


def centred(thing: Thing) -> tuple[float, float, float, float]:
    return (thing.x1 + thing.x2) / 2, (thing.y1 + thing.y2) / 2, thing.x2 - thing.x1, thing.y2 - thing.y1


def shares(values: Sequence[float]) -> list[float]:
    return [value / size for value, size in zip(values, [WIDTH, HEIGHT] * 2, strict=True)]


def cells(strides: Sequence[int]) -> list[tuple[int, int, int]]:
    """Column, row and stride of every cell, in the order of the outputs' rows."""
    return [(x, y, s) for s in strides for y in range(math.ceil(HEIGHT / s)) for x in range(math.ceil(WIDTH / s))]


def _anchors(things: Sequence[Thing]) -> Outputs:
    rows = np.zeros((1, 40, 5 + len(LABELS)), np.float32)
    for row, thing in enumerate(things):
        rows[0, row, :5] = *centred(thing), thing.score
        rows[0, row, 5 + thing.label] = 1.0
    return {"output0": rows}


def _anchors_logits(things: Sequence[Thing]) -> Outputs:
    rows = _anchors(things)["output0"]
    rows[0, :, 5:] = np.where(rows[0, :, 5:] > 0, 40, -40)
    rows[0, :, 4] = [logit(score) if score else -40 for score in rows[0, :, 4]]
    return {"output0": rows}


def _anchor_free(things: Sequence[Thing]) -> Outputs:
    rows = np.zeros((1, 40, 4 + len(LABELS)), np.float32)
    for row, thing in enumerate(things):
        rows[0, row, :4] = centred(thing)
        rows[0, row, 4 + thing.label] = thing.score
    return {"output0": rows}


def _channels_first(things: Sequence[Thing]) -> Outputs:
    return {"output0": np.ascontiguousarray(_anchor_free(things)["output0"].transpose(0, 2, 1))}


def _share_of_input(things: Sequence[Thing]) -> Outputs:
    rows = _anchor_free(things)["output0"]
    rows[..., :4] /= np.array([WIDTH, HEIGHT] * 2, np.float32)
    return {"output0": rows}


def _end_to_end(things: Sequence[Thing]) -> Outputs:
    rows = np.zeros((1, 30, 6), np.float32)
    for row, thing in enumerate(things):
        rows[0, row] = thing
    return {"output0": rows}


def _yolox(things: Sequence[Thing]) -> Outputs:
    grid = cells((8, 16, 32))
    rows = np.zeros((1, len(grid), 5 + len(LABELS)), np.float32)
    for row, (thing, (x, y, stride)) in enumerate(zip(things, grid, strict=False)):
        cx, cy, width, height = centred(thing)
        rows[0, row, :4] = cx / stride - x, cy / stride - y, math.log(width / stride), math.log(height / stride)
        rows[0, row, 4], rows[0, row, 5 + thing.label] = thing.score, 1.0
    return {"output": rows}


BINS = 8
NANODET_STRIDES = (8, 16, 32, 64)


def _bins(distance: float) -> NDArray[np.float32]:
    """Logits of a distribution whose mean is the distance: all of it in the two bins beside it."""
    assert 0 <= distance <= BINS - 1
    weights = np.zeros(BINS)
    low = min(int(distance), BINS - 2)
    weights[low], weights[low + 1] = low + 1 - distance, distance - low
    return np.log(weights + 1e-9).astype(np.float32)


def _nanodet_parts(things: Sequence[Thing], origin: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    grid = cells(NANODET_STRIDES)
    classes = np.zeros((len(grid), len(LABELS)), np.float32)
    distances = np.zeros((len(grid), 4 * BINS), np.float32)
    for thing in things:
        row = next(  # the first cell of the finest grid from where the box is seen
            number
            for number, (x, y, s) in enumerate(grid)
            if thing.x1 <= (x + origin) * s <= thing.x2 and thing.y1 <= (y + origin) * s <= thing.y2
        )
        column, line, stride = grid[row]
        x, y = (column + origin) * stride, (line + origin) * stride
        sides = (x - thing.x1, y - thing.y1, thing.x2 - x, thing.y2 - y)
        distances[row] = np.concatenate([_bins(side / stride) for side in sides])
        classes[row, thing.label] = thing.score
    return classes, distances


def _nanodet(things: Sequence[Thing]) -> Outputs:
    return {"output": np.concatenate(_nanodet_parts(things, 0.0), axis=1)[np.newaxis]}


def _nanodet_split(things: Sequence[Thing]) -> Outputs:
    """As the exports of 2020 have it: two outputs a stride, distances from the middle of a cell."""
    parts, begun, outputs = _nanodet_parts(things, 0.5), 0, {}
    for stride in NANODET_STRIDES:
        size = len(cells((stride,)))
        for name, part in zip(("cls", "dis"), parts, strict=True):
            outputs[f"{name}_pred_stride_{stride}"] = part[np.newaxis, begun : begun + size]
        begun += size
    return outputs


def _nanodet_maps(things: Sequence[Thing]) -> Outputs:
    outputs = {}
    for name, value in _nanodet_split(things).items():
        stride = int(name.rpartition("_")[2])
        size = math.ceil(HEIGHT / stride), math.ceil(WIDTH / stride)
        outputs[name] = np.ascontiguousarray(value[0].T).reshape(1, -1, *size)
    return outputs


def _ssd(things: Sequence[Thing]) -> Outputs:
    rows = np.full((1, 1, 20, 7), -1, np.float32)
    for row, thing in enumerate(things):
        rows[0, 0, row] = 0, thing.label + 1, thing.score, *shares(thing[:4])
    return {"detection_out": rows}


def _ssd_tflite(things: Sequence[Thing]) -> Outputs:
    boxes, classes, scores = (np.zeros(shape, np.float32) for shape in ((1, 20, 4), (1, 20), (1, 20)))
    for row, thing in enumerate(things):
        x1, y1, x2, y2 = shares(thing[:4])
        boxes[0, row], classes[0, row], scores[0, row] = (y1, x1, y2, x2), thing.label, thing.score
    name = "TFLite_Detection_PostProcess"
    count = np.array([len(things)], np.float32)
    return {name: boxes, f"{name}:1": classes, f"{name}:2": scores, f"{name}:3": count}


def _detr(things: Sequence[Thing], *, softmax: bool) -> Outputs:
    logits = np.full((1, 25, len(LABELS) + softmax), -20, np.float32)
    boxes = np.full((1, 25, 4), 0.5, np.float32)
    if softmax:
        logits[0, :, -1] = 20
    for row, thing in enumerate(things):
        logits[0, row, thing.label] = math.log(thing.score) if softmax else logit(thing.score)
        if softmax:
            logits[0, row, -1] = math.log(1 - thing.score)
        boxes[0, row] = shares(centred(thing))
    return {"pred_logits": logits, "pred_boxes": boxes}


def _detr_softmax(things: Sequence[Thing]) -> Outputs:
    return _detr(things, softmax=True)


def _detr_sigmoid(things: Sequence[Thing]) -> Outputs:
    return _detr(things, softmax=False)


def _mask_rcnn(things: Sequence[Thing]) -> Outputs:
    """Names as the ONNX model zoo has them."""
    return {
        "6568": np.array([thing[:4] for thing in things], np.float32).reshape(-1, 4),
        "6570": np.array([thing.label + 1 for thing in things], np.int64),
        "6572": np.array([thing.score for thing in things], np.float32),
        "6887": np.array([np.full((1, 28, 28), thing.score) for thing in things], np.float32).reshape(-1, 1, 28, 28),
    }


def _ultraface(things: Sequence[Thing]) -> Outputs:
    scores, boxes = np.zeros((1, 50, 2), np.float32), np.zeros((1, 50, 4), np.float32)
    scores[..., 0] = 1
    for row, thing in enumerate(things):
        scores[0, row] = 1 - thing.score, thing.score
        boxes[0, row] = shares(thing[:4])
    return {"scores": scores, "boxes": boxes}


def ultraface_priors() -> list[tuple[float, float, float, float]]:
    """Centre x, y, width, height in 0 to 1, after the project's generate_priors, in loops."""
    priors = []
    for stride, sides in ((8, (10, 16, 24)), (16, (32, 48)), (32, (64, 96)), (64, (128, 192, 256))):
        for y in range(math.ceil(HEIGHT / stride)):
            for x in range(math.ceil(WIDTH / stride)):
                for side in sides:
                    prior = ((x + 0.5) * stride / WIDTH, (y + 0.5) * stride / HEIGHT, side / WIDTH, side / HEIGHT)
                    priors.append(tuple(min(1.0, max(0.0, value)) for value in prior))
    return priors  # type: ignore[return-value]


def _ultraface_priors(things: Sequence[Thing]) -> Outputs:
    priors = ultraface_priors()
    scores, boxes = np.zeros((1, len(priors), 2), np.float32), np.zeros((1, len(priors), 4), np.float32)
    scores[..., 0], boxes[..., 2:] = 1, -1
    for row, (thing, (px, py, pw, ph)) in enumerate(zip(things, priors, strict=False)):
        cx, cy, width, height = shares(centred(thing))
        scores[0, row] = 1 - thing.score, thing.score
        offsets = (cx - px) / pw / 0.1, (cy - py) / ph / 0.1
        boxes[0, row] = *offsets, math.log(width / pw) / 0.2, math.log(height / ph) / 0.2
    return {"scores": scores, "boxes": boxes}


def _yunet(things: Sequence[Thing]) -> Outputs:
    outputs: Outputs = {}
    for stride in (8, 16, 32):
        for name, columns in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            outputs[f"{name}_{stride}"] = np.zeros((1, len(cells((stride,))), columns), np.float32)
    for row, (thing, (x, y, _)) in enumerate(zip(things, cells((8,)), strict=False)):
        cx, cy, width, height = (value / 8 for value in centred(thing))
        outputs["cls_8"][0, row], outputs["obj_8"][0, row] = thing.score, thing.score
        outputs["bbox_8"][0, row] = cx - x, cy - y, math.log(width), math.log(height)
        outputs["kps_8"][0, row] = np.tile((cx - x, cy - y), 5)
    return outputs


FAMILIES: dict[str, Family] = {
    "yolo anchors": Family({"decoder": "yolo", "layout": "anchors"}, _anchors, candidates={"output0": 1}),
    "yolo anchors, logits": Family(
        {"decoder": "yolo", "layout": "anchors", "scores": "logits"}, _anchors_logits, candidates={"output0": 1}
    ),
    "yolo anchor-free": Family(
        {"decoder": "yolo", "layout": "anchor-free"}, _channels_first, candidates={"output0": 2}
    ),
    "yolo anchor-free, rows": Family({"decoder": "yolo", "layout": "anchor-free"}, _anchor_free),
    "yolo anchor-free, shares": Family({"decoder": "yolo", "layout": "anchor-free", "unit": "share"}, _share_of_input),
    "yolo end-to-end": Family({"decoder": "yolo", "layout": "end-to-end"}, _end_to_end, candidates={"output0": 1}),
    "yolox": Family({"decoder": "yolox"}, _yolox),
    "nanodet": Family({"decoder": "nanodet"}, _nanodet),
    "nanodet, split": Family({"decoder": "nanodet", "origin": "centre"}, _nanodet_split),
    "nanodet, maps": Family({"decoder": "nanodet", "origin": "centre"}, _nanodet_maps),
    "ssd": Family({"decoder": "ssd", "first_label": 1}, _ssd),
    "ssd-tflite": Family({"decoder": "ssd-tflite"}, _ssd_tflite),
    "detr softmax": Family(
        {"decoder": "detr", "activation": "softmax"}, _detr_softmax, candidates={"pred_logits": 1, "pred_boxes": 1}
    ),
    "detr sigmoid": Family(
        {"decoder": "detr", "activation": "sigmoid"}, _detr_sigmoid, candidates={"pred_logits": 1, "pred_boxes": 1}
    ),
    "mask-rcnn": Family({"decoder": "mask-rcnn"}, _mask_rcnn, candidates={"6568": 0, "6570": 0, "6572": 0, "6887": 0}),
    "ultraface": Family(
        {"decoder": "faces", "layout": "ultraface"}, _ultraface, ("face",), candidates={"scores": 1, "boxes": 1}
    ),
    "ultraface-priors": Family({"decoder": "faces", "layout": "ultraface-priors"}, _ultraface_priors, ("face",)),
    "yunet": Family({"decoder": "faces", "layout": "yunet"}, _yunet, ("face",)),
}
