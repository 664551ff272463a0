"""Counts and errors of results: 0 for equals, the share of what is missing or too much, whatever the order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import DocumentError
from runtime.metrics import agreeing, count_of, result_error
from runtime.results import UNSURE, Classes, DensityMap, Detections, Landmarks, Masks, Result

Box = tuple[float, float, float, float, float, int]


def found(*rows: Box) -> Detections:
    """Rows of x1, y1, x2, y2, score, class."""
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


def density(values: list[list[float]]) -> DensityMap:
    return DensityMap(np.array(values, np.float32))


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    x1, x2 = sorted(draw(st.tuples(*[st.integers(0, 20)] * 2)))
    y1, y2 = sorted(draw(st.tuples(*[st.integers(0, 20)] * 2)))
    score = draw(st.integers(1, 100)) / 100
    return (x1 / 20, y1 / 20, x2 / 20, y2 / 20, score, draw(st.integers(0, 2)))


detections = st.lists(boxes(), max_size=8).map(lambda rows: found(*rows))


def shuffled(result: Detections, seed: int) -> Detections:
    order = np.random.default_rng(seed).permutation(len(result))
    return Detections(result.boxes[order], result.scores[order], result.class_ids[order])


@given(detections)
def test_equal_detections_are_not_off(result: Detections) -> None:
    assert result_error(result, result) == 0.0


@given(detections, detections, st.integers(0, 2**32 - 1))
def test_the_order_of_detections_changes_nothing(result: Detections, reference: Detections, seed: int) -> None:
    there = result_error(shuffled(result, seed), shuffled(reference, seed + 1))
    assert there == result_error(result, reference)


@given(detections, detections)
def test_an_error_is_finite_and_never_more_than_all_scores_of_both(result: Detections, reference: Detections) -> None:
    holds = max(float(reference.scores.sum()), 1.0)
    both = float(result.scores.sum() + reference.scores.sum())
    assert 0 <= result_error(result, reference) <= both / holds + 1e-6


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 100), st.booleans(), st.booleans()), unique_by=lambda r: r[0])
)
def test_boxes_apart_are_off_by_the_same_from_either_side(rows: list[tuple[int, int, bool, bool]]) -> None:
    """Not the shares: each is taken of what its own reference holds."""
    places = [(place / 10, 0.0, place / 10 + 0.05, 0.5, score / 100, 0) for place, score, _, _ in rows]
    one = found(*(box for box, (_, _, seen, _) in zip(places, rows, strict=True) if seen))
    other = found(*(box for box, (_, _, _, seen) in zip(places, rows, strict=True) if seen))
    sums = [max(float(side.scores.sum(dtype=np.float64)), 1.0) for side in (one, other)]
    assert result_error(one, other) * sums[1] == pytest.approx(result_error(other, one) * sums[0], abs=1e-6)


CAR: Box = (0.1, 0.1, 0.3, 0.3, 0.9, 0)
BUS: Box = (0.5, 0.5, 0.9, 0.9, 0.8, 1)


@pytest.mark.parametrize(
    ("result", "error"),
    [
        (found(BUS, CAR), 0.0),
        (found(CAR), 0.8 / 1.7),
        (found(), 1.0),
        (found(CAR, BUS, (0.0, 0.8, 0.1, 0.9, 0.35, 0)), 0.35 / 1.7),
        (found((0.11, 0.1, 0.31, 0.3, 0.85, 0), BUS), 0.05 / 1.7),
        (found((0.1, 0.1, 0.3, 0.3, 0.9, 1), BUS), 1.8 / 1.7),
        (found((0.25, 0.1, 0.45, 0.3, 0.9, 0), BUS), 1.8 / 1.7),
    ],
    ids=[
        "other order",
        "one is missing",
        "all are missing",
        "one too many",
        "moved a little",
        "other class",
        "far off",
    ],
)
def test_detections_are_off_by_the_scores_that_differ(result: Detections, error: float) -> None:
    assert result_error(result, found(CAR, BUS)) == pytest.approx(error, abs=1e-6)


@pytest.mark.parametrize("order", [1, -1])
def test_a_box_that_two_could_be_matched_with_goes_to_the_better_of_them(order: int) -> None:
    strong, weak = (0.0, 0.0, 1.0, 0.8, 0.9, 0), (0.0, 0.2, 1.0, 1.0, 0.3, 0)
    between = found((0.0, 0.1, 1.0, 0.9, 0.5, 0))
    assert result_error(between, found(*[strong, weak][::order])) == pytest.approx((0.4 + 0.3) / 1.2, abs=1e-6)


def test_where_the_reference_holds_less_than_one_thing_it_counts_as_one() -> None:
    assert result_error(found((0, 0, 1, 1, 0.4, 0)), found()) == pytest.approx(0.4)
    assert result_error(density([[0.2, 0.0]]), density([[0.0, 0.0]])) == pytest.approx(0.2)


def test_densities_are_off_by_what_differs_anywhere_even_where_the_sums_agree() -> None:
    assert result_error(density([[2.0, 0.0]]), density([[0.0, 2.0]])) == pytest.approx(2.0)
    assert result_error(density([[1.0, 2.0]]), density([[1.0, 2.0]])) == 0.0


@pytest.mark.parametrize(
    ("result", "reference"),
    [
        (found(CAR), density([[1.0]])),
        (density([[1.0]]), found(CAR)),
        (density([[1.0, 1.0]]), density([[1.0]])),
    ],
)
def test_results_of_different_kinds_or_shapes_are_refused(
    result: Detections | DensityMap, reference: Detections | DensityMap
) -> None:
    with pytest.raises(ValueError, match="expected a"):
        result_error(result, reference)


def test_a_density_counts_its_sum_and_detections_count_themselves() -> None:
    assert count_of(density([[0.25, 0.5], [1.0, 0.0]])) == 1.75
    assert count_of(density([[0.25]]), {7}) == 0.25, "it has no classes"
    assert count_of(found(CAR, BUS, CAR)) == 3.0
    assert count_of(found(CAR, BUS, CAR), {0}) == 2.0
    assert count_of(found(CAR), {1, 2}) == 0.0
    assert count_of(Detections.none()) == 0.0


def answers(*probabilities: float, ids: tuple[int, ...] = (0,)) -> Classes:
    values = np.array(probabilities, np.float32)
    return Classes(np.array(ids), np.full(len(ids), values.max()), values)


def points(*places: tuple[float, float], visible: tuple[bool, ...] | None = None, scored: bool = True) -> Landmarks:
    seen = np.array(visible if visible is not None else [True] * len(places), np.bool_)
    return Landmarks(np.array(places, np.float32), seen.astype(np.float32) if scored else None, seen)


def test_answers_count_where_their_label_does() -> None:
    open_eye = answers(0.25, 0.75, ids=(1,))
    assert count_of(open_eye, {1}) == 1.0
    assert count_of(open_eye, {0}) == 0.0
    assert count_of(answers(0.5, 0.5, ids=(UNSURE,)), {0}) == 0.0
    assert count_of(answers(0.25, 0.75, 0.5, 0.5, ids=(1, 2)), {1, 2}) == 2.0


@pytest.mark.parametrize("counted", [None, {0, 1}])
def test_a_count_of_all_answers_is_refused_since_it_would_never_change(counted: set[int] | None) -> None:
    with pytest.raises(DocumentError, match=r"budget\.labels"):
        count_of(answers(0.25, 0.75, ids=(1,)), counted)


def test_landmarks_count_where_they_are_visible_and_never_where_nobody_says() -> None:
    face = points((0.1, 0.1), (0.2, 0.2), (0.3, 0.3), visible=(True, False, True))
    assert count_of(face) == 2.0
    assert count_of(face, {1, 2}) == 1.0
    with pytest.raises(DocumentError, match="nothing to count"):
        count_of(points((0.1, 0.1), scored=False))


def test_answers_are_off_by_the_probability_that_moved() -> None:
    assert result_error(answers(0.25, 0.75), answers(0.25, 0.75)) == 0.0
    assert result_error(answers(0.5, 0.5), answers(0.25, 0.75)) == pytest.approx(0.25)
    assert result_error(answers(1.0, 0.0), answers(0.0, 1.0)) == 1.0
    assert result_error(answers(1, 0, 0.5, 0.5, ids=(0, 2)), answers(0, 1, 0.5, 0.5, ids=(1, 2))) == pytest.approx(0.5)


def test_landmarks_are_off_by_their_distance_and_wholly_where_one_is_not_seen() -> None:
    here = points((0.5, 0.5), (0.2, 0.2))
    assert result_error(here, here) == 0.0
    assert result_error(points((0.53, 0.54), (0.2, 0.2)), here) == pytest.approx(0.025, abs=1e-6)
    hidden = points((0.5, 0.5), (0.2, 0.2), visible=(True, False))
    assert result_error(hidden, here) == pytest.approx(0.5)
    assert result_error(hidden, hidden) == 0.0
    assert result_error(points((9.0, 0.5), (0.2, 0.2)), here) == pytest.approx(0.5)
    nothing = points((0.5, 0.5), visible=(False,))
    assert result_error(nothing, nothing) == 0.0


def face(score: float = 0.9, nose: float = 0.5, fill: float = 1.0) -> Detections:
    one = found((0.4, 0.4, 0.6, 0.6, score, 0))
    masks = Masks(np.full((1, 4, 4), fill, np.float32), one.boxes)
    return Detections(one.boxes, one.scores, one.class_ids, np.array([[[nose, 0.5]]], np.float32), masks)


def test_landmarks_and_masks_that_moved_cost_up_to_the_score_of_their_box() -> None:
    assert result_error(face(), face()) == 0.0
    assert result_error(face(nose=0.52), face()) == pytest.approx(0.9 * 0.1, abs=1e-5)
    assert result_error(face(nose=5.0), face()) == pytest.approx(0.9, abs=1e-5)
    assert result_error(face(fill=0.75), face()) == pytest.approx(0.9 * 0.25, abs=1e-5)
    assert result_error(face(0.8, nose=5.0, fill=0.0), face()) == pytest.approx(0.1 + 0.8, abs=1e-5)
    bare = face()
    assert result_error(Detections(bare.boxes, bare.scores, bare.class_ids), bare) == pytest.approx(0.9, abs=1e-5)


def test_agreeing_is_what_accuracy_is_the_share_of() -> None:
    reference = answers(0.5, 0.5, 0.9, 0.1, ids=(UNSURE, 2))
    assert agreeing(reference, reference) == 2.0
    assert agreeing(answers(0.6, 0.4, 0.8, 0.2, ids=(0, 2)), reference) == 1.0
    here = points((0.5, 0.5), (0.2, 0.2), (0.8, 0.8), visible=(True, True, False))
    assert agreeing(here, here) == 3.0
    moved = points((0.53, 0.53), (0.3, 0.2), (0.1, 0.1), visible=(True, True, False))
    assert agreeing(moved, here) == 2.0
    assert agreeing(points((0.5, 0.5), (0.2, 0.2), (0.8, 0.8)), here) == 2.0


@pytest.mark.parametrize(
    ("result", "reference"),
    [
        (answers(0.5, 0.5), points((0.1, 0.1))),
        (answers(0.5, 0.5), answers(0.5, 0.25, 0.25)),
        (points((0.1, 0.1)), points((0.1, 0.1), (0.2, 0.2))),
        (points((0.1, 0.1)), found(CAR)),
    ],
)
def test_answers_and_landmarks_of_different_kinds_or_sizes_are_refused(result: Result, reference: Result) -> None:
    with pytest.raises(ValueError, match="expected"):
        result_error(result, reference)


def test_agreement_of_what_is_counted_is_refused() -> None:
    with pytest.raises(ValueError, match="expected two Classes or two Landmarks"):
        agreeing(found(CAR), found(CAR))
