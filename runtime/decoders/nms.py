"""Non-maximum suppression: of boxes that overlap, keep the best."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BLOCK = 128  # boxes compared with all others at once: 128 x 8400 float32 are 4 MB


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
        most: boxes kept at most.

    Returns:
        Indices of the kept boxes, best first.
    """
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(order) and len(kept) < most:
        block = order[:_BLOCK]
        rivals = _rivals(boxes, families, block, order, iou)
        beaten = np.zeros(len(order), np.bool_)
        for place, index in enumerate(block):
            if not beaten[place]:
                kept.append(int(index))
                beaten |= rivals[place]
        order = order[_BLOCK:][~beaten[_BLOCK:]]
    return np.array(kept[:most], np.intp)


def _rivals(
    boxes: NDArray[np.float32],
    families: NDArray[np.int64],
    some: NDArray[np.intp],
    others: NDArray[np.intp],
    iou: float,
) -> NDArray[np.bool_]:
    """Whether each of some boxes overlaps each of others too much, ``(some, others)``; boxes without area never do."""
    ours, theirs = boxes[some].T[:, :, None], boxes[others].T[:, None, :]
    width = np.minimum(ours[2], theirs[2]) - np.maximum(ours[0], theirs[0])
    height = np.minimum(ours[3], theirs[3]) - np.maximum(ours[1], theirs[1])
    common = np.maximum(width, 0) * np.maximum(height, 0)
    areas = (ours[2] - ours[0]) * (ours[3] - ours[1]) + (theirs[2] - theirs[0]) * (theirs[3] - theirs[1])
    # common / (areas - common) > iou, without dividing by 0
    overlap = common * np.float32(1 + iou) > np.float32(iou) * areas
    return np.asarray(overlap & (families[some][:, None] == families[others]), np.bool_)
