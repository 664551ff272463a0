"""Painting shapes with smooth edges into a window of the picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from runtime.synthetic.scene import Rect

Layer = NDArray[np.float32]
Color = tuple[float, ...]  # blue, green, red, 0..255; a fourth is the weight of a paint yet to be chosen
Points = Sequence[tuple[float, float]]  # (u, v) in 0..1 of the picture


SHORTEST_EDGE = 1e-6  # pixels
TRIANGLE = 3
CHANNELS = 3


def shade(color: Color, factor: float) -> Color:
    """A colour made darker (factor < 1) or lighter."""
    return tuple(value * factor for value in color)


def mix(one: Color, other: Color, share: float) -> Color:
    """`share` of the other colour in the one."""
    rest = 1.0 - share
    return tuple(a * rest + b * share for a, b in zip_longest(one, other, fillvalue=0.0))


class Canvas:
    """A window of the picture being painted.

    Args:
        width: Columns of the window in pixels.
        height: Rows of the window in pixels.
        view: The window, (u1, v1, u2, v2) in 0..1 of the picture; may reach beyond it.

    Attributes:
        layers: float32 (height, width, 5): blue, green, red and paint, 0..255, each weighted by the fifth, 0..1:
            how much of what lies beneath is covered.
    """

    def __init__(self, width: int, height: int, view: Rect = (0.0, 0.0, 1.0, 1.0)) -> None:
        self.width = width
        self.height = height
        self.layers: Layer = np.zeros((height, width, 5), np.float32)
        self._origin = view[:2]
        self._scale = width / (view[2] - view[0]), height / (view[3] - view[1])

    @property
    def color(self) -> Layer:
        """BGR (height, width, 3), 0..255, weighted by `alpha`; a view."""
        return self.layers[..., :3]

    @property
    def alpha(self) -> Layer:
        """Cover (height, width, 1), 0..1; a view."""
        return self.layers[..., 4:]

    def pixels(self, points: Points) -> NDArray[np.float64]:
        """Where points lie in this window, in pixels: (n, 2)."""
        return (np.array(points, dtype=np.float64) - self._origin) * self._scale

    def polygon(self, points: Points, color: Color, low: Color | None = None, opacity: float = 1.0) -> None:
        """Fill a convex polygon, shading from `color` at its top to `low` at its bottom."""
        corners = self.pixels(points)
        place = self._window(corners[:, 0].min(), corners[:, 1].min(), corners[:, 0].max(), corners[:, 1].max())
        if place is None:
            return
        rows, columns, x, y = place
        cover = _inside(corners, x, y)
        if cover is None:
            return
        paint = _five(color)
        if low is not None:
            top, bottom = corners[:, 1].min(), corners[:, 1].max()
            share = np.clip((y - np.float32(top)) / np.float32(max(bottom - top, 1e-3)), 0.0, 1.0)[..., None]
            paint = paint + (_five(low) - paint) * share
        self._blend(rows, columns, paint, cover * np.float32(opacity))

    def ellipse(
        self,
        center: tuple[float, float],
        radius: tuple[float, float],
        color: Color,
        opacity: float = 1.0,
        *,
        soft: bool = False,
    ) -> None:
        """Fill an ellipse of half axes `radius` (in picture widths and heights); soft ones fade outwards."""
        middle = self.pixels([center])[0]
        rx, ry = max(0.3, radius[0] * self._scale[0]), max(0.3, radius[1] * self._scale[1])
        place = self._window(middle[0] - rx, middle[1] - ry, middle[0] + rx, middle[1] + ry)
        if place is None:
            return
        rows, columns, x, y = place
        dx, dy = (x - np.float32(middle[0])) / np.float32(rx), (y - np.float32(middle[1])) / np.float32(ry)
        away = dx * dx + dy * dy
        if soft:
            cover = np.maximum(np.float32(1.0) - away, np.float32(0.0))
            cover = cover * cover
        else:
            cover = np.clip((np.float32(1.0) - np.sqrt(away)) * np.float32(min(rx, ry)) + np.float32(0.5), 0.0, 1.0)
        self._blend(rows, columns, _five(color), cover * np.float32(opacity))

    def _window(self, x1: float, y1: float, x2: float, y2: float) -> tuple[slice, slice, Layer, Layer] | None:
        """The pixels that a shape of these bounds may touch, and their centres; None where there are none."""
        left, right = max(0, int(x1) - 1), min(self.width, int(x2) + 2)
        top, bottom = max(0, int(y1) - 1), min(self.height, int(y2) + 2)
        if left >= right or top >= bottom:
            return None
        x = np.arange(left, right, dtype=np.float32)[None, :] + np.float32(0.5)
        y = np.arange(top, bottom, dtype=np.float32)[:, None] + np.float32(0.5)
        return slice(top, bottom), slice(left, right), x, y

    def _blend(self, rows: slice, columns: slice, paint: Layer, cover: Layer) -> None:
        """Lay `paint` over a part of the window where `cover` (rows, columns) says so."""
        cover = np.asarray(cover, np.float32)[..., None]
        part = self.layers[rows, columns]
        part *= np.float32(1.0) - cover
        part += paint * cover


def _five(color: Color) -> Layer:
    """A colour as the values of a canvas that it covers: (5,)."""
    return np.array((*color, 0.0, 1.0) if len(color) == CHANNELS else (*color, 1.0), np.float32)


def _inside(corners: NDArray[np.float64], x: Layer, y: Layer) -> Layer | None:
    """How much of each pixel lies in a convex polygon: exact for strips, however thin; None if it has no area."""
    points: list[list[float]] = corners.tolist()
    middle_x = sum(point[0] for point in points) / len(points)
    middle_y = sum(point[1] for point in points) / len(points)
    total: Layer | None = None
    edges = 0
    for (x1, y1), (x2, y2) in zip(points, points[1:] + points[:1], strict=True):
        length = math.sqrt((x2 - x1) * (x2 - x1) + (y2 - y1) * (y2 - y1))
        if length < SHORTEST_EDGE:
            continue
        nx, ny = (y1 - y2) / length, (x2 - x1) / length
        if (middle_x - x1) * nx + (middle_y - y1) * ny < 0.0:
            nx, ny = -nx, -ny
        offset = np.float32(0.5 - x1 * nx - y1 * ny)
        part = x * np.float32(nx) + (y * np.float32(ny) + offset)
        np.minimum(np.maximum(part, np.float32(0.0), out=part), np.float32(1.0), out=part)
        total = part if total is None else total + part
        edges += 1
    if total is None or edges < TRIANGLE:
        return None
    cover: Layer = np.maximum(total - np.float32(edges - 1), np.float32(0.0))
    return cover
