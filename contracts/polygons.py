"""Polygons in parts of the picture: that one encloses an area and does not cross itself."""

from __future__ import annotations

Corner = tuple[float, float]

_SMALLEST_AREA = 1e-6  # of the picture; below it a polygon is a line


def polygon_problem(polygon: tuple[Corner, ...]) -> str | None:
    """What is wrong with a polygon, as the end of a sentence; None where nothing is.

    Args:
        polygon: at least three corners, x and y in 0 to 1 of the picture.
    """
    if _crosses_itself(polygon):
        return "its polygon should not cross itself"
    return "its polygon should enclose an area" if abs(_area(polygon)) < _SMALLEST_AREA else None


def _area(polygon: tuple[Corner, ...]) -> float:
    """Signed area by the shoelace formula, in parts of the picture."""
    pairs = zip(polygon, (*polygon[1:], polygon[0]), strict=True)
    return sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairs) / 2


def _crosses_itself(polygon: tuple[Corner, ...]) -> bool:
    edges = list(zip(polygon, (*polygon[1:], polygon[0]), strict=True))
    count = len(edges)
    return any(_cross(*edges[i], *edges[j]) for i in range(count) for j in range(i + 2, count) if (j + 1) % count != i)


def _cross(a: Corner, b: Corner, c: Corner, d: Corner) -> bool:
    """Whether the open segments a-b and c-d cross properly."""
    return _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0


def _side(a: Corner, b: Corner, p: Corner) -> float:
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])
