"""The plot's geometry, for whatever points come."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converters.report.scatter import BOTTOM, LEFT, RIGHT, TOP, Point, scatter

POINTS = st.lists(
    st.builds(Point, st.text("abc 8", max_size=20), st.floats(1e-3, 1e5), st.floats(0.0, 20.0)), min_size=1, max_size=12
)
BUDGETS = st.floats(1e-4, 0.9)


@given(POINTS, BUDGETS)
def test_every_point_tick_and_the_budget_lie_inside_the_plot(points: list[Point], budget: float) -> None:
    drawn = scatter(points, budget)
    assert all(LEFT <= point.x <= RIGHT and TOP <= point.y <= BOTTOM for point in drawn.points)
    assert all(LEFT <= tick.at <= RIGHT for tick in drawn.x_ticks)
    assert all(TOP <= tick.at <= BOTTOM for tick in drawn.y_ticks)
    assert TOP < drawn.budget_y < BOTTOM
    assert len(drawn.points) == len(points)
    assert 1 <= len(drawn.x_ticks) <= 8
    assert 2 <= len(drawn.y_ticks) <= 6


@given(POINTS, BUDGETS)
def test_slower_is_never_further_left_and_worse_never_lower(points: list[Point], budget: float) -> None:
    drawn = list(zip(points, scatter(points, budget).points, strict=True))
    by_latency = [spot.x for point, spot in sorted(drawn, key=lambda each: each[0].latency_ms)]
    by_loss = [spot.y for point, spot in sorted(drawn, key=lambda each: each[0].loss)]
    assert by_latency == sorted(by_latency)
    assert by_loss == sorted(by_loss, reverse=True)


@given(POINTS, BUDGETS)
def test_a_point_is_above_the_line_only_if_it_is_over_the_budget(points: list[Point], budget: float) -> None:
    drawn = scatter(points, budget)
    for point, spot in zip(points, drawn.points, strict=True):
        if not math.isclose(point.loss, budget, rel_tol=1e-9):
            assert (spot.y < drawn.budget_y - 1e-9) <= (point.loss > budget)
            assert (spot.y > drawn.budget_y + 1e-9) <= (point.loss < budget)


@given(st.floats(0.01, 1e4), BUDGETS)
def test_ten_times_the_latency_is_as_far_again(latency: float, budget: float) -> None:
    points = [Point("", latency * factor, 0.0) for factor in (1, 10, 100)]
    first, second, third = (point.x for point in scatter(points, budget).points)
    assert second - first == pytest.approx(third - second)


def test_a_loss_far_beyond_the_budget_is_pinned_and_says_what_it_is() -> None:
    near, far = scatter([Point("near", 5.0, 0.02), Point("far", 5.0, 0.43)], 0.01).points
    assert (near.pinned, far.pinned) == (False, True)
    assert "43%" in far.label
    assert near.label == "near"


def test_labels_of_a_row_of_points_do_not_lie_on_one_another() -> None:
    drawn = scatter([Point(f"int8 in f{number}", 10.0, 0.001 * number) for number in range(5)], 0.01)
    spots = sorted((point.anchor, point.label_y) for point in drawn.points)
    assert all(one[0] != other[0] or abs(one[1] - other[1]) >= 12 for one, other in itertools.pairwise(spots))


@pytest.mark.parametrize(
    "point", [Point("", 0.0, 0.0), Point("", math.inf, 0.0), Point("", 1.0, -0.1), Point("", 1.0, math.nan)]
)
def test_what_cannot_be_drawn_is_refused(point: Point) -> None:
    with pytest.raises(ValueError, match="latency above 0"):
        scatter([point], 0.01)


def test_a_plot_without_points_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        scatter([], 0.01)
