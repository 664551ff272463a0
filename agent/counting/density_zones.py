"""How much of a density map lies in a zone: each cell by the share of it that the polygon covers, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from contracts.config import Point
from runtime.results import DensityMap

PICTURE: tuple[Point, ...] = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
"""The whole picture as a polygon: a letterboxed map reaches beyond it."""

Extent = tuple[float, float, float, float]
_Corners = Sequence[Point]


def level_within(density: DensityMap, polygon: Sequence[Point]) -> float:
    """The count of a density map within a polygon.

    A cell's value is taken as spread evenly over the cell, so zones that part the picture add up to all of it.

    Args:
        density: the map.
        polygon: corners in 0 to 1 of the picture; it does not cross itself.
    """
    height, width = density.values.shape
    return float(np.vdot(density.values.astype(np.float64), coverage(tuple(polygon), height, width, density.extent)))


@lru_cache(maxsize=256)
def coverage(polygon: tuple[Point, ...], height: int, width: int, extent: Extent) -> NDArray[np.float64]:
    """The share of each cell that a polygon covers, exact but for rounding.

    Clips the polygon to each row, and that to each cell (Sutherland and Hodgman 1974); the area of what is left is
    the cell's share, since the seams that clipping leaves in a hollow polygon enclose nothing.

    Args:
        polygon: corners in 0 to 1 of the picture.
        height: rows of the map.
        width: columns of the map.
        extent: x1, y1, x2, y2: what the map covers, in 0 to 1 of the picture.

    Returns:
        float64 ``(height, width)`` in 0 to 1; shared between callers, not to be written.
    """
    x1, y1, x2, y2 = extent
    corners = [((x - x1) / (x2 - x1) * width, (y - y1) / (y2 - y1) * height) for x, y in polygon]
    shares = np.zeros((height, width))
    for row in range(height):
        strip = _clip(_clip(corners, 1, row, 1), 1, row + 1, -1)
        columns = _touched([x for x, _ in strip], width)
        for column in columns:
            shares[row, column] = _area(_clip(_clip(strip, 0, column, 1), 0, column + 1, -1))
    shares.setflags(write=False)
    return shares


def _touched(places: Sequence[float], cells: int) -> range:
    """The cells of a row that a strip can touch."""
    if not places:
        return range(0)
    return range(max(0, int(np.floor(min(places)))), min(cells, int(np.ceil(max(places)))))


def _clip(corners: _Corners, axis: int, border: float, sign: int) -> list[Point]:
    """What of a polygon lies above (sign 1) or below (sign -1) a border on one axis."""
    kept: list[Point] = []
    for one, other in zip(corners, [*corners[1:], *corners[:1]], strict=True):
        depth, next_depth = sign * (one[axis] - border), sign * (other[axis] - border)
        if depth >= 0:
            kept.append(one)
        if (depth > 0 > next_depth) or (depth < 0 < next_depth):
            share = depth / (depth - next_depth)
            kept.append((one[0] + share * (other[0] - one[0]), one[1] + share * (other[1] - one[1])))
    return kept


def _area(corners: _Corners) -> float:
    """Area by the shoelace formula, whichever way round the corners go."""
    pairs = zip(corners, [*corners[1:], *corners[:1]], strict=True)
    return abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairs)) / 2
