"""Landmarks are where they were put, in the picture's coordinates, from numbers and from heat maps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from contracts.errors import ArtifactError
from runtime.decoders.table import open_decoder
from runtime.prepare import Placement, place
from runtime.results import Landmarks
from tests.unit.runtime.decoders.models import HEIGHT, WIDTH, spec, whole

POINTS = ("left eye", "right eye", "nose")
K = len(POINTS)


def landmarks(output: dict[str, Any], value: NDArray[Any], where: Placement | None = None, **size: Any) -> Landmarks:
    model = spec({"decoder": "landmarks"} | output, labels=POINTS, **size)
    result = open_decoder(model).decode({"out": value}, where or whole(model))
    assert isinstance(result, Landmarks)
    return result


SHARES = np.array([[0.25, 0.5], [0.75, 0.5], [0.5, 0.875]], np.float32)


@pytest.mark.parametrize("shape", [(1, 2 * K), (1, K, 2), (1, 2 * K, 1, 1), (2 * K,), (K, 2)])
def test_points_are_read_in_every_shape_and_have_no_scores(shape: tuple[int, ...]) -> None:
    found = landmarks({"layout": "points"}, SHARES.reshape(shape))
    assert found.points.tolist() == SHARES.tolist()
    assert found.scores is None
    assert found.visible.all()


@given(
    points=st.lists(st.tuples(st.floats(-0.5, 1.5), st.floats(-0.5, 1.5)), min_size=K, max_size=K),
    resize=st.sampled_from(["stretch", "letterbox", "letterbox-topleft"]),
    size=st.tuples(st.integers(20, 400), st.integers(20, 400)),
    unit=st.sampled_from(["pixels", "share"]),
    axes=st.sampled_from(["xy", "yx"]),
)
def test_points_lie_where_they_are_in_the_picture_however_it_was_placed(
    points: list[tuple[float, float]], resize: str, size: tuple[int, int], unit: str, axes: str
) -> None:
    where = place(spec({"decoder": "density"}, resize=resize).input, *size)
    pixels = np.array(points) * [where.width, where.height] + [where.left, where.top]
    given_as = pixels if unit == "pixels" else pixels / [WIDTH, HEIGHT]
    value = given_as if axes == "xy" else given_as[:, ::-1]
    output = {"layout": "points", "unit": unit, "axes": axes}
    found = landmarks(output, value.astype(np.float32)[np.newaxis], where, resize=resize)
    np.testing.assert_allclose(found.points, points, atol=1e-4)


def test_a_third_number_is_the_points_score() -> None:
    value = np.concatenate([SHARES, [[0.9], [0.2], [0.3]]], axis=1)[np.newaxis, np.newaxis]
    found = landmarks({"layout": "points", "score": 0.25}, value)
    assert found.points.tolist() == SHARES.tolist()
    assert found.visible.tolist() == [True, False, True]
    assert found.scores is not None
    np.testing.assert_allclose(found.scores, [0.9, 0.2, 0.3])


@pytest.mark.parametrize("shape", [(1, 4), (1, 3 * K), (1, 2, K), (1, K, 4), (2, K, 2), ()])
def test_points_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ArtifactError, match="with 3 labels expects output 'out' as 1x6, 1x3x2 or 1x3x3"):
        landmarks({"layout": "points"}, np.zeros(shape, np.float32))


def test_pixels_taken_for_shares_are_refused() -> None:
    with pytest.raises(ArtifactError, match="say unit = 'pixels'"):
        landmarks({"layout": "points"}, SHARES[np.newaxis] * 100)


@given(data=st.data(), origin=st.sampled_from(["corner", "centre"]))
def test_a_heat_maps_highest_cell_is_the_point(data: st.DataObject, origin: str) -> None:
    rows, columns = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))
    cell = st.tuples(st.integers(0, columns - 1), st.integers(0, rows - 1))
    peaks = data.draw(st.lists(cell, min_size=K, max_size=K))
    maps = np.zeros((1, K, rows, columns), np.float32)
    for number, (x, y) in enumerate(peaks):
        maps[0, number, y, x] = 0.2 + 0.2 * number
    found = landmarks({"layout": "heat-maps", "origin": origin}, maps)
    half = 0.5 if origin == "centre" else 0.0
    expected = (np.array(peaks, np.float64) + half) / np.array([columns, rows])
    np.testing.assert_allclose(found.points, expected, atol=1e-6)
    assert found.visible.tolist() == [False, True, True]


def test_a_peak_moves_a_quarter_of_a_cell_to_its_higher_neighbour() -> None:
    maps = np.zeros((1, K, 5, 7), np.float32)
    maps[0, :, 2, 3] = 1.0
    maps[0, 0, 2, 4] = maps[0, 0, 1, 3] = 0.5
    maps[0, 1, 2, 2] = maps[0, 1, 3, 3] = 0.5
    found = landmarks({"layout": "heat-maps", "origin": "corner"}, maps)
    expected = np.array([[3.25, 1.75], [2.75, 2.25], [3, 2]], np.float64) / np.array([7, 5])
    np.testing.assert_allclose(found.points, expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 2, 5, 7), (1, K, 5), (2, K, 5, 7), (1, K, 0, 7)])
def test_heat_maps_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ArtifactError):
        landmarks({"layout": "heat-maps"}, np.zeros(shape, np.float32))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("layout", ["points", "heat-maps"])
def test_one_nan_or_infinity_is_an_error(layout: str, bad: float) -> None:
    value = np.zeros((1, K, 2) if layout == "points" else (1, K, 5, 7), np.float32)
    value.flat[-1] = bad
    with pytest.raises(ArtifactError, match="NaN or infinity"):
        landmarks({"layout": layout}, value)
