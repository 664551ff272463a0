"""Decoders agree with decoding box by box in plain Python, on random tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from runtime.masks import pasted
from runtime.results import Detections, Masks
from tests.unit.runtime.decoders import slow
from tests.unit.runtime.decoders.models import (
    HEIGHT,
    LABELS,
    WIDTH,
    Outputs,
    Thing,
    cells,
    decode,
    spec,
    ultraface_priors,
)

# The same pictures in every run: float32 here and float64 there may part at the very edge of a threshold.
SAME = settings(max_examples=20, derandomize=True, deadline=None)
SCORE, IOU = 0.37, 0.4503
NMS = {"iou": IOU}
seeds = given(st.integers(0, 2**32 - 1))
either = pytest.mark.parametrize("logits", [False, True])


def check(found: Detections, things: Sequence[Thing]) -> None:
    expected = np.array([thing[:4] for thing in things]).reshape(-1, 4) / ([WIDTH, HEIGHT] * 2)
    np.testing.assert_allclose(found.boxes, expected.clip(0, 1), atol=1e-5)
    np.testing.assert_allclose(found.scores, [thing.score for thing in things], atol=1e-5)
    assert found.class_ids.tolist() == [thing.label for thing in things]


def centres(rng: np.random.Generator, n: int) -> NDArray[np.float32]:
    """Centre x, y, width, height in pixels, many on each other."""
    return np.concatenate([rng.uniform(0, [WIDTH, HEIGHT], (n, 2)), rng.uniform(4, 70, (n, 2))], 1).astype(np.float32)


def scores(rng: np.random.Generator, *shape: int, logits: bool = False) -> NDArray[np.float32]:
    return (rng.normal(-0.5, 2, shape) if logits else rng.uniform(0, 1, shape)).astype(np.float32)


@either
@SAME
@seeds
def test_yolo_with_anchors(logits: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = np.concatenate([centres(rng, 60), scores(rng, 60, 1 + len(LABELS), logits=logits)], axis=1)
    kind = "logits" if logits else "probabilities"
    model = spec({"decoder": "yolo", "layout": "anchors", "score": SCORE, "scores": kind, "nms": NMS})
    things = slow.yolo_anchors(rows, SCORE, logits=logits)
    check(decode(model, {"o": rows[np.newaxis]}), slow.suppressed(things, IOU))


@either
@SAME
@seeds
def test_yolo_without_anchors_in_both_orders(logits: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = np.concatenate([centres(rng, 60), scores(rng, 60, len(LABELS), logits=logits)], axis=1)
    kind = "logits" if logits else "probabilities"
    model = spec({"decoder": "yolo", "layout": "anchor-free", "score": SCORE, "scores": kind, "nms": NMS})
    things = slow.suppressed(slow.yolo_anchor_free(rows.T, SCORE, logits=logits), IOU)
    check(decode(model, {"o": np.ascontiguousarray(rows.T)[np.newaxis]}), things)
    check(decode(model, {"o": rows[np.newaxis]}), things)


@SAME
@seeds
def test_yolo_end_to_end(seed: int) -> None:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, [WIDTH, HEIGHT], (40, 2))
    rows = np.concatenate([corner, corner + rng.uniform(1, 50, (40, 2)), scores(rng, 40, 1)], axis=1)
    rows = np.concatenate([rows, rng.integers(0, 3, (40, 1))], axis=1).astype(np.float32)
    model = spec({"decoder": "yolo", "layout": "end-to-end", "score": SCORE})
    check(decode(model, {"o": rows[np.newaxis]}), slow.yolo_end_to_end(rows, SCORE))


@SAME
@seeds
def test_yolox(seed: int) -> None:
    rng, n = np.random.default_rng(seed), len(cells((8, 16, 32)))
    rows = np.concatenate([rng.normal(0.5, 1, (n, 4)), scores(rng, n, 1 + len(LABELS))], axis=1).astype(np.float32)
    model = spec({"decoder": "yolox", "score": SCORE, "nms": NMS})
    check(decode(model, {"o": rows[np.newaxis]}), slow.suppressed(slow.yolox(rows, SCORE), IOU))


@either
@pytest.mark.parametrize("origin", ["corner", "centre"])
@settings(SAME, max_examples=8)
@seeds
def test_nanodet_whose_grid_the_edge_cuts(origin: str, logits: bool, seed: int) -> None:
    rng, n, bins = np.random.default_rng(seed), len(cells((8, 16, 32, 64))), 6
    distances = rng.normal(0, 3, (n, 4 * bins)).astype(np.float32)
    rows = np.concatenate([scores(rng, n, len(LABELS), logits=logits), distances], axis=1)
    kind = "logits" if logits else "probabilities"
    output = {"decoder": "nanodet", "score": SCORE, "scores": kind, "bins": bins, "origin": origin, "nms": NMS}
    half = 0.5 if origin == "centre" else 0.0
    things = slow.nanodet(rows, SCORE, len(LABELS), bins, half, logits=logits)
    check(decode(spec(output), {"o": rows[np.newaxis]}), slow.suppressed(things, IOU))


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@SAME
@seeds
def test_detr(activation: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (1, 40, len(LABELS) + (activation == "softmax"))).astype(np.float32)
    boxes = rng.uniform(0, 1, (1, 40, 4)).astype(np.float32)
    model = spec({"decoder": "detr", "activation": activation, "score": SCORE})
    things = slow.detr(logits[0], boxes[0], SCORE, activation=activation)
    check(decode(model, {"logits": logits, "boxes": boxes}), things)


@SAME
@seeds
def test_ssd_tflite(seed: int) -> None:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 0.8, (1, 20, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(0, 0.4, (1, 20, 2))], axis=2).astype(np.float32)
    classes, values = rng.integers(0, 3, (1, 20)).astype(np.float32), scores(rng, 1, 20)
    count = np.array([rng.integers(0, 21)], np.float32)
    outputs: Outputs = {"a": boxes, "b": classes, "c": values, "d": count}
    things = slow.ssd_tflite(boxes[0], classes[0], values[0], int(count[0]), SCORE)
    check(decode(spec({"decoder": "ssd-tflite", "score": SCORE}), outputs), things)


@SAME
@seeds
def test_ultraface_with_priors(seed: int) -> None:
    rng, n = np.random.default_rng(seed), len(ultraface_priors())
    chances = scores(rng, n, 1) ** 4
    values = np.concatenate([1 - chances, chances], axis=1)
    offsets = rng.normal(-1, 3, (n, 4)).astype(np.float32)
    model = spec({"decoder": "faces", "layout": "ultraface-priors", "score": SCORE, "nms": NMS}, labels=["face"])
    things = slow.suppressed(slow.ultraface(values, offsets, SCORE), IOU)
    check(decode(model, {"scores": values[np.newaxis], "boxes": offsets[np.newaxis]}), things)


@SAME
@seeds
def test_yunet_with_its_landmarks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    outputs: Outputs = {}
    for stride in (8, 16, 32):
        n = len(cells((stride,)))
        outputs[f"cls_{stride}"], outputs[f"obj_{stride}"] = scores(rng, 1, n, 1), scores(rng, 1, n, 1) ** 2
        outputs[f"bbox_{stride}"] = rng.normal(0.5, 1, (1, n, 4)).astype(np.float32)
        outputs[f"kps_{stride}"] = rng.normal(0.5, 1, (1, n, 10)).astype(np.float32)
    model = spec({"decoder": "faces", "layout": "yunet", "score": SCORE, "nms": NMS}, labels=["face"])
    faces = dict(slow.yunet(outputs, SCORE))
    things = slow.suppressed(list(faces), IOU)
    found = decode(model, outputs)
    check(found, things)
    assert found.landmarks is not None
    points = np.array([faces[thing] for thing in things]).reshape(-1, 5, 2) / [WIDTH, HEIGHT]
    np.testing.assert_allclose(found.landmarks, points, atol=1e-5)


@SAME
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    cell=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_pasted_masks(seed: int, size: tuple[int, int], cell: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-0.3, 0.9, (3, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(0.02, 0.6, (3, 2))], axis=1).astype(np.float32)
    masks = Masks(rng.uniform(0, 1, (3, *cell)).astype(np.float32), boxes)
    pictures = pasted(masks, *size)
    assert pictures.shape == (3, size[1], size[0])
    for number, picture in enumerate(pictures):
        reference = np.array(slow.pasted(masks.values[number], boxes[number].tolist(), *size))
        sure = np.abs(reference - 0.5) > 1e-4
        assert (picture == (reference >= 0.5))[sure].all()
