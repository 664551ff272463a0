"""Boxes: how much they overlap, how large they are, and the point that stands for one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contracts.config import Anchor

Boxes = NDArray[np.float64]
Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in 0 to 1 of the picture."""


def overlap(one: Boxes, other: Boxes) -> NDArray[np.float64]:
    """Intersection over union of boxes ``(n, 4)`` with boxes ``(m, 4)``: ``(n, m)``, 0 where both are empty."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=2)
    union = areas(one)[:, None] + areas(other)[None, :] - shared
    return np.asarray(shared / np.maximum(union, np.finfo(np.float64).tiny))


def areas(boxes: Boxes) -> NDArray[np.float64]:
    """Areas ``(n,)`` in parts of the picture."""
    return np.asarray(np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0), axis=1))


def anchor_point(box: Box, anchor: Anchor) -> tuple[float, float]:
    """The point of a box that stands for it."""
    x1, y1, x2, y2 = box
    return (x1 + x2) / 2, y2 if anchor == "bottom" else (y1 + y2) / 2
