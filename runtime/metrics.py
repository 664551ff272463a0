"""How far counts are from the truth, and results from those of a reference."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime.results import DensityMap, Detections, Result

MATCHING_IOU = 0.5  # boxes that overlap less are two things; PASCAL VOC's criterion (Everingham et al. 2010, 4.2)


@dataclass(frozen=True)
class CountError:
    """Error of counts over ``n`` pictures, in things a picture.

    Args:
        n: pictures.
        mae: mean absolute error.
        rmse: root of the mean squared error.
        bias: mean of measured minus true; above zero where too many are counted.
        mean_true: mean true count.
    """

    n: int
    mae: float
    rmse: float
    bias: float
    mean_true: float


def count_error(measured: ArrayLike, true: ArrayLike) -> CountError:
    """Compare counts picture by picture.

    Args:
        measured: ``(n,)``.
        true: ``(n,)``.

    Raises:
        ValueError: the lengths differ, or there is no picture.
    """
    counted, truth = np.asarray(measured, np.float64), np.asarray(true, np.float64)
    if counted.shape != truth.shape or counted.ndim != 1 or not len(counted):
        raise ValueError(f"expected two lists of the same length above 0, got {counted.shape} and {truth.shape}")
    off = counted - truth
    return CountError(
        n=len(off),
        mae=float(np.abs(off).mean()),
        rmse=float(np.sqrt((off**2).mean())),
        bias=float(off.mean()),
        mean_true=float(truth.mean()),
    )


def count_of(result: Result, class_ids: Collection[int] | None = None) -> float:
    """How many things a result holds.

    Args:
        result: of one picture.
        class_ids: which classes of detections count; None for all. A density map has no classes.
    """
    if isinstance(result, DensityMap):
        return float(result.values.sum(dtype=np.float64))
    if class_ids is None:
        return float(len(result))
    return float(np.isin(result.class_ids, list(class_ids)).sum())


def result_error(result: Result, reference: Result) -> float:
    """How far a result is from a reference's, as a share of what the reference holds; 0 where they are equal.

    For density maps the sum of absolute differences over the reference's sum. For detections the scores that differ
    between matched boxes, and those of boxes without a match, over the sum of the reference's scores: a box that only
    just crosses the threshold costs its score. Where the reference holds less than one thing, it counts as one.

    Raises:
        ValueError: the two are of different kinds, or maps of different shapes.
    """
    if isinstance(result, DensityMap) and isinstance(reference, DensityMap):
        if result.values.shape != reference.values.shape:
            raise ValueError(f"expected a map of {reference.values.shape}, got {result.values.shape}")
        gap = np.abs(result.values.astype(np.float64) - reference.values)
        return float(gap.sum() / max(float(reference.values.sum(dtype=np.float64)), 1.0))
    if isinstance(result, Detections) and isinstance(reference, Detections):
        return _detections_error(result, reference)
    raise ValueError(f"expected a {type(reference).__name__}, got a {type(result).__name__}")


def _detections_error(result: Detections, reference: Detections) -> float:
    result, reference = _ordered(result), _ordered(reference)
    overlaps = _overlaps(result, reference)
    left = set(range(len(result)))
    off = 0.0
    for number, score in enumerate(reference.scores):
        match = max(left, key=lambda other: overlaps[other, number], default=None)
        if match is None or overlaps[match, number] < MATCHING_IOU:
            off += float(score)
        else:
            left.discard(match)
            off += abs(float(result.scores[match]) - float(score))
    off += sum(float(result.scores[number]) for number in left)
    return off / max(float(reference.scores.sum(dtype=np.float64)), 1.0)


def _ordered(found: Detections) -> Detections:
    """Best first, and equals by where they are: what is matched with what does not hang on the order they came in."""
    order = np.lexsort((*found.boxes.T, found.class_ids, -found.scores))
    return Detections(found.boxes[order], found.scores[order], found.class_ids[order])


def _overlaps(one: Detections, other: Detections) -> NDArray[np.float64]:
    """Intersection over union ``(n, m)``; 1 for equal boxes, however thin, and 0 for boxes of different classes."""
    a, b = one.boxes[:, None, :].astype(np.float64), other.boxes[None, :, :].astype(np.float64)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = sides.clip(0.0).prod(axis=-1)
    areas = (a[..., 2:] - a[..., :2]).prod(axis=-1) + (b[..., 2:] - b[..., :2]).prod(axis=-1)
    overlap: NDArray[np.float64] = shared / np.maximum(areas - shared, np.finfo(np.float64).tiny)
    overlap[(a == b).all(axis=-1)] = 1.0  # clipping at the picture's edge leaves boxes without an area
    return np.where(one.class_ids[:, None] == other.class_ids[None, :], overlap, 0.0)
