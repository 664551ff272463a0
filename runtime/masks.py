"""Masks of instances, kept as small as the network gave them, and laid over the picture when somebody looks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.results import Masks

CERTAIN = 0.5  # from this on a pixel is of the thing (He et al. 2017, "Mask R-CNN", 3)


def pasted(masks: Masks, width: int, height: int) -> NDArray[np.bool_]:
    """The masks over a whole picture.

    A pixel's centre is looked up in its box's mask, bilinearly between the centres of the mask's cells, and with
    zeros around it, as `grid_sample` without aligned corners does in Detectron2's paste.

    Args:
        masks: ``n`` of them.
        width: pixels of the picture, at least 1.
        height: pixels of the picture, at least 1.

    Returns:
        bool ``(n, height, width)``; ``n`` bytes a pixel, so not for the loop that counts.
    """
    _, rows, columns = masks.values.shape
    across = _weights(masks.boxes[:, 0], masks.boxes[:, 2], columns, width)
    down = _weights(masks.boxes[:, 1], masks.boxes[:, 3], rows, height)
    return np.asarray(down @ masks.values @ across.transpose(0, 2, 1) >= CERTAIN, np.bool_)


def _weights(first: NDArray[np.float32], last: NDArray[np.float32], cells: int, pixels: int) -> NDArray[np.float32]:
    """How much of each cell a pixel sees along one axis, ``(n, pixels, cells)``."""
    centres = (np.arange(pixels, dtype=np.float64) + 0.5) / pixels
    span = np.maximum(last.astype(np.float64) - first, np.finfo(np.float32).eps)
    place = (centres - first[:, None]) / span[:, None] * cells - 0.5
    return np.maximum(1.0 - np.abs(place[:, :, None] - np.arange(cells)), 0.0).astype(np.float32)
