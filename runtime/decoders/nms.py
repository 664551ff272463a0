"""Non-maximum suppression: of boxes that overlap, keep the best."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def suppress(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    families: NDArray[np.int64],
    iou: float,
    most: int,
) -> NDArray[np.intp]:
    """Greedy suppression among boxes of one family.

    Args:
        boxes: ``(n, 4)`` x1, y1, x2, y2 in any unit.
        scores: ``(n,)``.
        families: ``(n,)``; only boxes of the same family compete.
        iou: boxes whose intersection over union is above this are one.
        most: boxes kept at most; also bounds the work to ``most * n``.

    Returns:
        Indices of the kept boxes, best first.
    """
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(order) and len(kept) < most:
        best, order = order[0], order[1:]
        kept.append(int(best))
        rivals = (families[order] == families[best]) & (_overlap(boxes[best], boxes[order]) > iou)
        order = order[~rivals]
    return np.array(kept, np.intp)


def _overlap(box: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of one box with each of the others, ``(n,)``; 0 where both have no area."""
    corner = np.maximum(box[:2], others[:, :2])
    opposite = np.minimum(box[2:], others[:, 2:])
    common = np.prod(np.maximum(opposite - corner, 0), axis=1)
    union = np.prod(box[2:] - box[:2]) + np.prod(others[:, 2:] - others[:, :2], axis=1) - common
    return np.asarray(common / np.maximum(union, np.float32(1e-12)), np.float32)
