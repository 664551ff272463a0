"""Making parts of a picture unrecognisable: what is left cannot be turned back into what was there."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from contracts.config import Point
from runtime.results import Picture

MOST_BLOCKS = 4
"""Blocks on a side of what is hidden: 16 colours are left of a face, however many pixels it had."""

LEAST_BLOCK = 8
"""Pixels on a side of a block: something small is one or two blocks, not a sharp picture of itself."""

MARGIN = 0.25  # of a box on each side, as boxes are not exact
WHOLE = (0.0, 0.0, 1.0, 1.0)

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in 0 to 1 of the picture."""


def hide_boxes(picture: Picture, boxes: Iterable[Box]) -> None:
    """Leave of each box only the mean colours of a few blocks, with smooth passages between them.

    Args:
        picture: uint8 ``(height, width, 3)`` BGR; written to.
        boxes: what to hide, each with a margin around it.
    """
    height, width = picture.shape[:2]
    for x1, y1, x2, y2 in boxes:
        across, down = MARGIN * (x2 - x1), MARGIN * (y2 - y1)
        part = picture[_pixels(y1 - down, y2 + down, height), _pixels(x1 - across, x2 + across, width)]
        if part.size:
            part[:] = _few_colours(part)


def blacken(picture: Picture, polygons: Iterable[tuple[Point, ...]]) -> None:
    """Blacken every pixel that a polygon touches.

    Args:
        picture: uint8 ``(height, width, 3)`` BGR; written to.
        polygons: corners in 0 to 1 of the picture.
    """
    height, width = picture.shape[:2]
    for polygon in polygons:
        picture[touched(polygon, height, width)] = 0


@lru_cache(maxsize=64)
def touched(polygon: tuple[Point, ...], height: int, width: int) -> NDArray[np.bool_]:
    """Every pixel that a polygon touches, bool ``(height, width)``; shared between callers, not to be written."""
    y, x = np.mgrid[0.5:height, 0.5:width]
    marked = np.zeros((height, width), np.bool_)
    corners = [(across * width, down * height) for across, down in polygon]
    for (x1, y1), (x2, y2) in zip(corners, [*corners[1:], corners[0]], strict=True):
        between = (y1 <= y) != (y2 <= y)  # even and odd, by the edges to the left of a pixel's centre
        if between.any():  # never for an edge too flat to divide by its height
            marked ^= between & (x > x1 + (y - y1) / (y2 - y1) * (x2 - x1))
    for (x1, y1), (x2, y2) in zip(corners, [*corners[1:], corners[0]], strict=True):
        share = np.linspace(0.0, 1.0, 4 * int(abs(x2 - x1) + abs(y2 - y1)) + 2)  # four points a pixel
        rows = (y1 + (y2 - y1) * share).astype(np.intp).clip(0, height - 1)
        marked[rows, (x1 + (x2 - x1) * share).astype(np.intp).clip(0, width - 1)] = True
    marked.setflags(write=False)
    return marked


def _few_colours(part: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The part as the means of its blocks give it."""
    (mean_down, spread_down), (mean_across, spread_across) = (_blocks(side) for side in part.shape[:2])
    means = np.rint(np.einsum("by,yxc,dx->bdc", mean_down, part, mean_across, optimize=True))
    smooth = np.einsum("yb,bdc,xd->yxc", spread_down, means, spread_across, optimize=True)
    return np.asarray(np.rint(smooth), np.uint8)


@lru_cache(maxsize=64)
def _blocks(side: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights along one side: from pixels to means ``(blocks, side)``, and from those to pixels ``(side, blocks)``."""
    count = min(MOST_BLOCKS, max(1, side // LEAST_BLOCK))
    places = np.arange(side)
    own = (places * count // side == np.arange(count)[:, np.newaxis]).astype(np.float64)
    centres = ((places + 0.5) / side * count - 0.5).clip(0, count - 1)
    spread = np.maximum(1.0 - np.abs(centres[:, np.newaxis] - np.arange(count)), 0.0)
    return own / own.sum(axis=1, keepdims=True), spread


def _pixels(first: float, last: float, side: int) -> slice:
    return slice(max(0, int(np.floor(first * side))), max(0, int(np.ceil(last * side))))
