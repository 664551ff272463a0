"""A picture is asked for in the size the network wants, and boxes find their way back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.model_spec import InputSpec, Resize
from runtime.prepare import Preparer, place

RESIZES: tuple[Resize, ...] = ("stretch", "letterbox", "letterbox-topleft")
sizes = st.integers(16, 2000)


@given(resize=st.sampled_from(RESIZES), width=sizes, height=sizes, source=st.tuples(sizes, sizes))
def test_the_picture_lies_inside_the_input_and_corners_map_back(
    resize: Resize, width: int, height: int, source: tuple[int, int]
) -> None:
    spec = InputSpec(width=width, height=height, resize=resize)
    placement = place(spec, *source)
    assert 0 <= placement.left <= width - placement.width
    assert 0 <= placement.top <= height - placement.height
    right, bottom = placement.left + placement.width, placement.top + placement.height
    corners = np.array([[placement.left, placement.top, right, bottom]], np.float32)
    np.testing.assert_allclose(placement.to_picture(corners), [[0, 0, 1, 1]], atol=1e-6)


@given(width=sizes, height=sizes, source=st.tuples(sizes, sizes))
def test_a_letterbox_keeps_the_proportions_within_a_pixel(width: int, height: int, source: tuple[int, int]) -> None:
    placement = place(InputSpec(width=width, height=height, resize="letterbox"), *source)
    scale = min(width / source[0], height / source[1])
    assert abs(placement.width - source[0] * scale) <= 1
    assert abs(placement.height - source[1] * scale) <= 1
    assert placement.width == width or placement.height == height


@pytest.mark.parametrize(("resize", "top"), [("letterbox", 2), ("letterbox-topleft", 0)])
def test_a_letterbox_is_padded_where_the_spec_says(resize: Resize, top: int) -> None:
    spec = InputSpec(width=8, height=8, resize=resize, pad_value=7)
    placement = place(spec, 16, 8)
    tensor = Preparer(spec).prepare(np.full((4, 8, 3), 200, np.uint8), placement)
    assert tensor.shape == (1, 8, 8, 3)
    assert (tensor[0, top : top + 4] == 200).all()
    assert (np.delete(tensor[0], np.s_[top : top + 4], axis=0) == 7).all()


def test_padding_is_clean_again_after_a_picture_of_another_shape() -> None:
    spec = InputSpec(width=8, height=8, resize="letterbox-topleft", pad_value=0)
    preparer = Preparer(spec)
    preparer.prepare(np.full((8, 4, 3), 255, np.uint8), place(spec, 8, 16))
    tensor = preparer.prepare(np.full((4, 8, 3), 1, np.uint8), place(spec, 16, 8))
    assert (tensor[0, 4:] == 0).all()


def test_a_picture_of_the_full_size_is_not_copied() -> None:
    spec = InputSpec(width=8, height=8)
    picture = np.zeros((8, 8, 3), np.uint8)
    assert np.shares_memory(Preparer(spec).prepare(picture, place(spec, 640, 480)), picture)


def test_a_picture_of_another_size_than_asked_for_is_refused_with_both_sizes() -> None:
    spec = InputSpec(width=8, height=8)
    with pytest.raises(ValueError, match=r"\(8, 8, 3\).*\(9, 8, 3\)"):
        Preparer(spec).prepare(np.zeros((9, 8, 3), np.uint8), place(spec, 640, 480))


def test_the_extent_of_a_letterboxed_map_reaches_beyond_the_picture() -> None:
    placement = place(InputSpec(width=8, height=8, resize="letterbox"), 16, 8)
    assert placement.extent == (0.0, -0.5, 1.0, 1.5)
