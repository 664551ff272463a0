"""How far counts are from the truth, and results from those of a reference."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from contracts.errors import DocumentError
from runtime.results import Classes, DensityMap, Detections, Landmarks, Result

MATCHING_IOU = 0.5  # boxes that overlap less are two things; PASCAL VOC's criterion (Everingham et al. 2010, 4.2)
NEAR_ENOUGH = 0.05  # of the picture's sides; points farther apart are not the same place


def count_of(result: Result, class_ids: Collection[int] | None = None) -> float:
    """How many things a result holds.

    Of landmarks those that are visible count, of classes the answers that are among ``class_ids``.

    Args:
        result: of one picture.
        class_ids: which labels count; None for all. A density map has no classes.

    Raises:
        DocumentError: the count would be the same whatever the network saw: classes of which all count, or landmarks
            of a network that does not say how sure it is. `agreeing` compares such results.
    """
    if isinstance(result, DensityMap):
        return float(result.values.sum(dtype=np.float64))
    if isinstance(result, Landmarks):
        return _count_of_landmarks(result, class_ids)
    if isinstance(result, Classes) and (class_ids is None or len(set(class_ids)) == len(result.probabilities)):
        raise DocumentError(
            "model.toml",
            ["'budget.labels' should name some of 'labels': a classifier always answers, so all of them tell nothing"],
        )
    if class_ids is None:
        return float(len(result.class_ids))
    return float(np.isin(result.class_ids, list(class_ids)).sum())


def _count_of_landmarks(result: Landmarks, class_ids: Collection[int] | None) -> float:
    if result.scores is None:
        raise DocumentError(
            "model.toml",
            ["'output' gives landmarks without scores, which are always all there: there is nothing to count"],
        )
    return float(result.visible.sum() if class_ids is None else result.visible[sorted(set(class_ids))].sum())


def agreeing(result: Result, reference: Result) -> float:
    """Of a classifier's answers, or of landmarks, how many agree with a reference's: what accuracy is the share of.

    Answers agree where they are the same label (or both unsure); points where both are visible and no farther apart
    than `NEAR_ENOUGH`, or both are not. Compared with itself a result gives how many there are.

    Raises:
        ValueError: the two are of different kinds or sizes, or of a kind that is counted.
    """
    if isinstance(result, Classes) and isinstance(reference, Classes):
        _check_as_many(len(result.class_ids), len(reference.class_ids), "answers")
        return float((result.class_ids == reference.class_ids).sum())
    if isinstance(result, Landmarks) and isinstance(reference, Landmarks):
        _check_as_many(len(result.points), len(reference.points), "points")
        near = _distances(result.points, reference.points) <= NEAR_ENOUGH
        return float(np.where(reference.visible, near & result.visible, ~result.visible).sum())
    raise ValueError(f"expected two Classes or two Landmarks, got {type(result).__name__}, {type(reference).__name__}")


def result_error(result: Result, reference: Result) -> float:
    """How far a result is from a reference's, as a share of what the reference holds; 0 where they are equal.

    For density maps the sum of absolute differences over the reference's sum. For detections the scores that differ
    between matched boxes, and those of boxes without a match, over the sum of the reference's scores: a box that only
    just crosses the threshold costs its score. Landmarks and masks of matched boxes that are elsewhere cost up to that
    score too. Where the reference holds less than one thing, it counts as one.

    For landmarks the mean distance between points that are visible in either, in sides of the picture and 1 at most;
    1 for a point visible in one only. For classes half the sum of absolute differences between the probabilities of
    an answer (the total variation distance), as a mean over the answers.

    Raises:
        ValueError: the two are of different kinds or sizes.
    """
    if isinstance(result, DensityMap) and isinstance(reference, DensityMap):
        if result.values.shape != reference.values.shape:
            raise ValueError(f"expected a map of {reference.values.shape}, got {result.values.shape}")
        gap = np.abs(result.values.astype(np.float64) - reference.values)
        return float(gap.sum() / max(float(reference.values.sum(dtype=np.float64)), 1.0))
    if isinstance(result, Detections) and isinstance(reference, Detections):
        return _detections_error(result, reference)
    if isinstance(result, Landmarks) and isinstance(reference, Landmarks):
        return _landmarks_error(result, reference)
    if isinstance(result, Classes) and isinstance(reference, Classes):
        _check_as_many(len(result.probabilities), len(reference.probabilities), "labels")
        apart = np.abs(result.probabilities.astype(np.float64) - reference.probabilities).sum() / 2
        return float(apart / max(len(reference.class_ids), 1))
    raise ValueError(f"expected a {type(reference).__name__}, got a {type(result).__name__}")


def _landmarks_error(result: Landmarks, reference: Landmarks) -> float:
    _check_as_many(len(result.points), len(reference.points), "points")
    apart = np.where(result.visible & reference.visible, _distances(result.points, reference.points), 1.0)
    seen = result.visible | reference.visible
    return float(np.minimum(apart, 1.0)[seen].sum() / max(int(seen.sum()), 1))


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
            ours, theirs = float(result.scores[match]), float(score)
            off += abs(ours - theirs) + min(ours, theirs) * _parts_error(result, match, reference, number)
    off += sum(float(result.scores[number]) for number in left)
    return off / max(float(reference.scores.sum(dtype=np.float64)), 1.0)


def _parts_error(result: Detections, mine: int, reference: Detections, its: int) -> float:
    """How far landmarks and mask of two matched things are apart, 0 to 1: the larger of the two."""
    return max(_points_apart(result, mine, reference, its), _masks_apart(result, mine, reference, its))


def _points_apart(result: Detections, mine: int, reference: Detections, its: int) -> float:
    """Mean distance of the points in square roots of the reference's box, 1 at most."""
    if result.landmarks is None or reference.landmarks is None:
        return 0.0 if result.landmarks is reference.landmarks else 1.0
    ours, theirs = result.landmarks[mine], reference.landmarks[its]
    _check_as_many(len(ours), len(theirs), "points")
    sides = reference.boxes[its, 2:].astype(np.float64) - reference.boxes[its, :2]
    scale = max(float(np.sqrt(sides.prod())), float(np.finfo(np.float32).eps))
    return min(float(_distances(ours, theirs).mean()) / scale, 1.0) if len(ours) else 0.0


def _masks_apart(result: Detections, mine: int, reference: Detections, its: int) -> float:
    """Mean absolute difference of the two masks, each over its own box."""
    if result.masks is None or reference.masks is None:
        return 0.0 if result.masks is reference.masks else 1.0
    ours, theirs = result.masks.values[mine], reference.masks.values[its]
    if ours.shape != theirs.shape:
        raise ValueError(f"expected a mask of {theirs.shape}, got {ours.shape}")
    return float(np.abs(ours.astype(np.float64) - theirs).mean())


def _distances(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> NDArray[np.float64]:
    """Between points ``(k, 2)``, in sides of the picture, ``(k,)``."""
    return np.asarray(np.hypot(*(ours.astype(np.float64) - theirs).T), np.float64)


def _check_as_many(ours: int, theirs: int, what: str) -> None:
    if ours != theirs:
        raise ValueError(f"expected {theirs} {what}, got {ours}")


def _ordered(found: Detections) -> Detections:
    """Best first, and equals by where they are: what is matched with what does not hang on the order they came in."""
    order = np.lexsort((*found.boxes.T, found.class_ids, -found.scores))
    return found.chosen(order)


def _overlaps(one: Detections, other: Detections) -> NDArray[np.float64]:
    """Intersection over union ``(n, m)``; 1 for equal boxes, however thin, and 0 for boxes of different classes."""
    a, b = one.boxes[:, None, :].astype(np.float64), other.boxes[None, :, :].astype(np.float64)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = sides.clip(0.0).prod(axis=-1)
    areas = (a[..., 2:] - a[..., :2]).prod(axis=-1) + (b[..., 2:] - b[..., :2]).prod(axis=-1)
    overlap: NDArray[np.float64] = shared / np.maximum(areas - shared, np.finfo(np.float64).tiny)
    overlap[(a == b).all(axis=-1)] = 1.0  # clipping at the picture's edge leaves boxes without an area
    return np.where(one.class_ids[:, None] == other.class_ids[None, :], overlap, 0.0)
