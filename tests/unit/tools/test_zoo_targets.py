"""Density maps hold every vehicle whole, wherever it stands."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.zoo.targets import clip_boxes, density_map

SIDE, STRIDE = 128, 8
CELLS = (SIDE // STRIDE, SIDE // STRIDE)
edge = st.floats(-20, 148, width=32)


@given(st.lists(st.tuples(edge, edge, st.floats(1, 60), st.floats(1, 60)), max_size=12))
def test_the_sum_is_the_count_even_at_borders(corners: list[tuple[float, float, float, float]]) -> None:
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h in corners], np.float32).reshape(-1, 4)
    cut, weights = clip_boxes(boxes, SIDE, SIDE)
    density = density_map(cut, weights, CELLS, STRIDE)
    assert density.shape == CELLS
    assert density.min() >= 0
    assert density.sum() == pytest.approx(weights.sum(), abs=1e-4)


def test_an_empty_road_is_an_empty_map() -> None:
    assert density_map(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), CELLS, STRIDE).sum() == 0


def test_mass_lies_on_the_vehicle() -> None:
    box = np.array([[32, 48, 64, 96]], np.float32)
    density = density_map(box, np.ones(1, np.float32), CELLS, STRIDE)
    assert density[6:12, 4:8].sum() > 0.9


@pytest.mark.parametrize(
    ("left", "weight"),
    [(0.0, 1.0), (-3.0, 1.0), (-6.0, 0.5), (-9.0, None)],
    ids=["whole", "seven tenths", "four tenths", "one tenth"],
)
def test_a_vehicle_leaving_the_picture_fades(left: float, weight: float | None) -> None:
    boxes, weights = clip_boxes(np.array([[left, 0, left + 10, 10]], np.float32), 100, 100)
    assert len(boxes) == (weight is not None)
    if weight is not None:
        assert weights[0] == pytest.approx(weight, abs=1e-5)
        assert boxes[0, 0] >= 0
