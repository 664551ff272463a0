"""How much of a density map lies in a zone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.counting.density_zones import PICTURE, coverage, level_within
from contracts.config import Point
from runtime.results import DensityMap

WHOLE = (0.0, 0.0, 1.0, 1.0)


def area(polygon: Sequence[Point]) -> float:
    pairs = zip(polygon, (*polygon[1:], polygon[0]), strict=True)
    return abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairs)) / 2


@st.composite
def stars(draw: st.DrawFn) -> tuple[Point, ...]:
    """Polygons seen whole from their middle: hollow ones too, none that crosses itself."""
    corners = draw(st.integers(3, 9))
    middle = draw(st.tuples(st.floats(0.3, 0.7), st.floats(0.3, 0.7)))
    radii = draw(st.lists(st.floats(0.02, 0.3), min_size=corners, max_size=corners))
    turn = draw(st.floats(0, 2 * math.pi))
    angles = [turn + 2 * math.pi * i / corners for i in range(corners)]
    return tuple(
        (middle[0] + radius * math.cos(angle), middle[1] + radius * math.sin(angle))
        for radius, angle in zip(radii, angles, strict=True)
    )


@settings(max_examples=40)
@given(stars(), st.integers(1, 16), st.integers(1, 16))
def test_the_shares_add_up_to_the_polygons_area(polygon: tuple[Point, ...], height: int, width: int) -> None:
    shares = coverage(polygon, height, width, WHOLE)
    assert shares.sum() / (height * width) == pytest.approx(area(polygon), abs=1e-9)
    assert shares.min() >= 0
    assert shares.max() <= 1 + 1e-9


@settings(max_examples=40)
@given(st.floats(0.05, 0.95), st.floats(0.05, 0.95), st.integers(0, 2**32 - 1))
def test_zones_that_part_the_picture_add_up_to_all_of_it(top: float, bottom: float, seed: int) -> None:
    density = DensityMap(np.random.default_rng(seed).random((9, 12), dtype=np.float32))
    left = ((0.0, 0.0), (top, 0.0), (bottom, 1.0), (0.0, 1.0))
    right = ((top, 0.0), (1.0, 0.0), (1.0, 1.0), (bottom, 1.0))
    parts = level_within(density, left) + level_within(density, right)
    assert parts == pytest.approx(float(density.values.sum(dtype=np.float64)), rel=1e-9)


def test_whichever_way_round_the_corners_go_it_is_the_same() -> None:
    polygon = ((0.1, 0.2), (0.8, 0.1), (0.5, 0.5), (0.9, 0.9), (0.2, 0.8))
    assert np.allclose(coverage(polygon, 7, 5, WHOLE), coverage(polygon[::-1], 7, 5, WHOLE))


def test_a_letterboxed_map_counts_only_what_is_in_the_picture() -> None:
    """16:9 in a square of 8x8 cells: the picture is the middle 4.5 rows."""
    extent = (0.0, -0.5 * (16 / 9 - 1), 1.0, 1 + 0.5 * (16 / 9 - 1))
    density = DensityMap(np.ones((8, 8), np.float32), extent)
    assert level_within(density, PICTURE) == pytest.approx(8 * 4.5)
    upper_half = ((0.0, 0.0), (1.0, 0.0), (1.0, 0.5), (0.0, 0.5))
    assert level_within(density, upper_half) == pytest.approx(8 * 2.25)


def test_shares_are_computed_once_a_shape() -> None:
    assert coverage(PICTURE, 6, 6, WHOLE) is coverage(PICTURE, 6, 6, WHOLE)
    assert not coverage(PICTURE, 6, 6, WHOLE).flags.writeable
