"""YOLO's layouts are checked against what the network gives; a mismatch names both."""

from __future__ import annotations

import numpy as np
import pytest

from contracts.errors import ArtifactError
from tests.unit.runtime.decoders.models import LABELS, decode, spec

N = len(LABELS)


@pytest.mark.parametrize(
    ("layout", "shape", "named"),
    [
        ("anchors", (1, 4 + N, 40), "1x?x8, the model gives 1x7x40, as layout 'anchor-free' has it"),
        ("anchors", (1, 40, 6), "1x?x8, the model gives 1x40x6, as layout 'end-to-end' has it"),
        ("anchor-free", (1, 40, 5 + N), "1x7x? or 1x?x7, the model gives 1x40x8, as layout 'anchors' has it"),
        ("anchor-free", (1, 40, 6), "1x7x? or 1x?x7, the model gives 1x40x6, as layout 'end-to-end' has it"),
        ("end-to-end", (1, 40, 5 + N), "1x?x6, the model gives 1x40x8, as layout 'anchors' has it"),
        ("end-to-end", (1, 40, 85), "1x?x6, the model gives 1x40x85; check layout and labels"),
        ("anchors", (2, 40, 5 + N), "the model gives 2x40x8"),
        ("anchors", (40, 5 + N), "the model gives 40x8"),
    ],
)
def test_another_layout_than_declared_is_refused_with_both(layout: str, shape: tuple[int, ...], named: str) -> None:
    with pytest.raises(ArtifactError, match=f"layout '{layout}' with 3 labels") as caught:
        decode(spec({"decoder": "yolo", "layout": layout}), {"out": np.zeros(shape, np.float32)})
    assert named in str(caught.value)


def rows(layout: str, scores: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """So many candidates that logits are told by their values, all of one score."""
    columns = {"anchors": 5 + N, "anchor-free": 4 + N}[layout]
    value = np.full((1, 1200, columns), 20, np.float32)
    value[..., 4:] = scores
    return value


@pytest.mark.parametrize("layout", ["anchors", "anchor-free"])
def test_logits_taken_for_probabilities_are_refused_and_not_an_empty_picture(layout: str) -> None:
    model = spec({"decoder": "yolo", "layout": layout})
    with pytest.raises(ArtifactError, match="say scores = 'logits'"):
        decode(model, {"out": rows(layout, -6)})


@pytest.mark.parametrize("layout", ["anchors", "anchor-free"])
def test_probabilities_taken_for_logits_are_refused_and_not_a_full_picture(layout: str) -> None:
    model = spec({"decoder": "yolo", "layout": layout, "scores": "logits"})
    with pytest.raises(ArtifactError, match="say scores = 'probabilities'"):
        decode(model, {"out": rows(layout, 0.01)})


def test_probabilities_a_rounding_error_beyond_one_are_one() -> None:
    value = np.zeros((1, 40, 4 + N), np.float32)
    value[0, 0] = 50, 50, 20, 20, 0, 1.004, 0
    assert decode(spec({"decoder": "yolo", "layout": "anchor-free"}), {"out": value}).scores.tolist() == [1.0]


def end_to_end(*found: tuple[float, ...]) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    return {"out": np.array([found], np.float32)}


END = spec({"decoder": "yolo", "layout": "end-to-end"})


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ((10, 10, 40, 40, 0.9, 3), "gives label 3, model.toml lists 3"),
        ((10, 10, 40, 40, 0.9, -1), "gives label -1"),
        ((10, 10, 40, 40, 0.9, 1.5), "labels should be whole numbers, got 1.5"),
        ((10, 10, 40, 40, 7.0, 1), "scores should be in 0 to 1"),
        ((40, 40, 10, 10, 0.9, 1), "inside out"),
        ((0.1, 0.1, 0.4, 0.4, 0.9, 1), "look like shares"),
    ],
)
def test_what_cannot_be_a_finished_box_is_refused(row: tuple[float, ...], said: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        decode(END, end_to_end(row))
    assert said in str(caught.value)


def test_pixels_taken_for_shares_are_refused() -> None:
    model = spec({"decoder": "yolo", "layout": "end-to-end", "unit": "share"})
    with pytest.raises(ArtifactError, match="look like pixels"):
        decode(model, end_to_end((10, 10, 40, 40, 0.9, 1)))


def test_one_box_inside_out_among_others_is_dropped() -> None:
    found = decode(END, end_to_end((40, 40, 10, 10, 0.9, 1), (10, 10, 40, 40, 0.8, 2)))
    assert found.class_ids.tolist() == [2]


def test_a_finished_list_is_not_suppressed_again() -> None:
    found = decode(END, end_to_end((10, 10, 40, 40, 0.8, 1), (11, 10, 41, 40, 0.9, 1)))
    np.testing.assert_allclose(found.scores, [0.9, 0.8])


def test_what_pads_a_finished_list_is_not_looked_at() -> None:
    found = decode(END, end_to_end((10, 10, 40, 40, 0.8, 1), (0, 0, 0, 0, 0, -1)))
    assert len(found) == 1
