"""What is hidden cannot be seen, and cannot be turned back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.privacy.hiding import LEAST_BLOCK, MOST_BLOCKS, WHOLE, Box, blacken, hide_boxes, touched
from contracts.config import MaskConfig
from tests.fakes.rpc import look

SIDE = 96
UNIT = st.floats(0, 1)


def hidden(picture: np.ndarray, *boxes: Box) -> np.ndarray:
    copy = picture.copy()
    hide_boxes(copy, boxes)
    return copy


@settings(deadline=None)
@given(UNIT, UNIT, UNIT, UNIT)
def test_what_lies_outside_of_a_box_and_its_margin_stays_and_the_rest_is_smooth(
    x1: float, y1: float, x2: float, y2: float
) -> None:
    x1, x2, y1, y2 = min(x1, x2), max(x1, x2), min(y1, y2), max(y1, y2)
    before = look(height=SIDE, width=SIDE).image
    after = hidden(before, (x1, y1, x2, y2))
    assert after.shape == before.shape
    rows, columns = (slice(max(0, int((a - (b - a)) * SIDE) - 1), int((b + (b - a)) * SIDE) + 2)
                     for a, b in ((y1, y2), (x1, x2)))  # fmt: skip
    outside = np.ones((SIDE, SIDE), bool)
    outside[rows, columns] = False
    assert (after[outside] == before[outside]).all()
    inside = after[int(np.ceil(y1 * SIDE)) : int(y2 * SIDE), int(np.ceil(x1 * SIDE)) : int(x2 * SIDE)].astype(int)
    if inside.size:
        steps = [np.abs(np.diff(inside, axis=axis)).max(initial=0) for axis in (0, 1)]
        assert max(steps) <= 255 / LEAST_BLOCK + 2, "noise is left"


def test_no_more_is_left_than_the_means_of_a_few_blocks() -> None:
    """Two pictures with the same means give the same: nothing else of them can be in what is left."""
    rng = np.random.default_rng(0)
    one = rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    block = SIDE // MOST_BLOCKS
    blocks = one.reshape(MOST_BLOCKS, block, MOST_BLOCKS, block, 3).swapaxes(1, 2).reshape(MOST_BLOCKS**2, -1, 3)
    mixed = np.stack([rng.permutation(each) for each in blocks])
    other = mixed.reshape(MOST_BLOCKS, MOST_BLOCKS, block, block, 3).swapaxes(1, 2).reshape(SIDE, SIDE, 3)
    assert not (one == other).all()
    assert (hidden(one, WHOLE) == hidden(other, WHOLE)).all()


@pytest.mark.parametrize("side", [1, 5, 7, 8, 15])
def test_something_small_is_one_colour_and_not_a_sharp_picture_of_itself(side: int) -> None:
    after = hidden(look(height=side, width=side).image, WHOLE)
    assert len(np.unique(after.reshape(-1, 3), axis=0)) == 1


def test_a_box_at_the_pictures_edge_or_without_area_is_no_fault() -> None:
    picture = look(height=20, width=20).image
    for box in ((1.0, 1.0, 1.0, 1.0), (0.0, 0.0, 0.0, 0.0), (0.5, 0.5, 0.5, 0.9)):
        assert hidden(picture, box).shape == picture.shape


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(UNIT, UNIT), min_size=3, max_size=8), st.integers(1, 40), st.integers(1, 40))
def test_every_pixel_of_a_mask_is_black_and_it_ends_near_its_polygon(
    corners: list[tuple[float, float]], height: int, width: int
) -> None:
    try:
        polygon = MaskConfig(polygon=tuple(corners)).polygon
    except ValueError:
        return  # it crosses itself, or is none
    picture = np.full((height, width, 3), 200, np.uint8)
    blacken(picture, [polygon])
    for y in range(0, height, 3):
        for x in range(0, width, 3):
            place = ((x + 0.5) / width, (y + 0.5) / height)
            if contains(polygon, place):
                assert (picture[y, x] == 0).all()
    rows, columns = np.nonzero(touched(polygon, height, width))
    xs, ys = [x * width for x, _ in polygon], [y * height for _, y in polygon]
    assert columns.min() >= min(xs) - 2
    assert columns.max() <= max(xs) + 2
    assert rows.min() >= min(ys) - 2
    assert rows.max() <= max(ys) + 2


def contains(polygon: tuple[tuple[float, float], ...], place: tuple[float, float]) -> bool:
    """By angles, which is not how it is done."""
    points = [complex(x - place[0], y - place[1]) for x, y in polygon]
    if any(abs(point) < 1e-9 for point in points):
        return False
    turned = sum(np.angle(b / a) for a, b in zip(points, [*points[1:], points[0]], strict=True))
    return abs(turned) > np.pi


def test_a_mask_thinner_than_a_pixel_is_still_there() -> None:
    picture = np.full((10, 10, 3), 200, np.uint8)
    blacken(picture, [((0.31, 0.0), (0.312, 0.0), (0.312, 1.0), (0.31, 1.0))])
    assert (picture[:, 3] == 0).all()
