"""Density maps from boxes: what the network learns to paint. Each vehicle's mass is exactly its weight."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tools.zoo.data import Boxes

Floats = NDArray[np.float32]

SPREAD = 0.22
"""Standard deviation of a vehicle's kernel as a share of its box: mass stays on the vehicle, neighbours stay apart."""

NARROWEST = 0.6
"""Smallest standard deviation in cells: a kernel thinner than the grid cannot be learned."""


def density_map(boxes: Boxes, weights: Floats, shape: tuple[int, int], stride: int) -> Floats:
    """Paints one Gaussian per box, its size following the box.

    The Gaussian is the product of one per axis and each is normalised over the cells that exist, so a vehicle at the
    border keeps its whole mass.

    Args:
        boxes: ``(n, 4)`` in input pixels, each at least partly inside.
        weights: ``(n,)`` vehicles that each box stands for, usually 1.
        shape: rows and columns of the map.
        stride: input pixels per cell.

    Returns:
        ``(rows, columns)`` vehicles per cell; its sum is the sum of the weights.
    """
    cells = boxes.reshape(-1, 4) / np.float32(stride)
    down = _profiles(cells[:, 1], cells[:, 3], shape[0])
    along = _profiles(cells[:, 0], cells[:, 2], shape[1])
    return np.asarray(np.einsum("n,ny,nx->yx", weights, down, along), np.float32)


def _profiles(low: Floats, high: Floats, cells: int) -> Floats:
    """One Gaussian per box along one axis, ``(n, cells)``, rows summing to 1."""
    low, high = np.clip(low, 0, cells), np.clip(high, 0, cells)
    sigma = np.maximum(SPREAD * (high - low), NARROWEST)[:, None]
    distance = np.arange(cells, dtype=np.float64)[None, :] + 0.5 - ((low + high) / 2)[:, None]
    bell = np.exp(-0.5 * (distance / sigma) ** 2)
    return np.asarray(bell / bell.sum(axis=1, keepdims=True), np.float32)


def clip_boxes(boxes: Boxes, width: float, height: float) -> tuple[Boxes, Floats]:
    """Cuts boxes to a picture of ``width`` x ``height`` and says how much of each still counts.

    A vehicle of which less than a fifth is left is gone, from three fifths on it is whole, between it is shared: the
    labels themselves leave out vehicles that hardly reach into the picture.

    Args:
        boxes: ``(n, 4)`` in pixels.
        width: of the picture.
        height: of the picture.

    Returns:
        The boxes that are left, and their weights in ]0, 1].
    """
    cut = np.clip(boxes, 0.0, np.array([width, height, width, height], np.float32)).astype(np.float32)
    visible = _area(cut) / np.maximum(_area(boxes), 1e-6)
    weights = np.clip((visible - 0.2) / 0.4, 0.0, 1.0).astype(np.float32)
    keep = weights > 0
    return cut[keep], weights[keep]


def _area(boxes: Boxes) -> Floats:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), np.float32)
