"""When updated boxes are taken for counting otherwise than their siblings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.rollout.siblings import BoxCounts, compare
from fleet.rollout.student import student_below, student_quantile
from tools.sibling_sim.fleets import Roads, Trial, fleet

STREET = Roads(busy=200)


def share_drifted(factor: float, roads: Roads = STREET, fleets: int = 100) -> float:
    trial = Trial(roads, updated=10, siblings=50, factor=factor, hours=1.0)
    return sum(compare(fleet(trial, seed), 0.2).verdict == "drifted" for seed in range(fleets)) / fleets


def box(
    after: float, *, updated: bool, before: float = 400, before_hours: float = 4, after_hours: float = 1
) -> BoxCounts:
    return BoxCounts(updated, before, before_hours, after, after_hours)


def boxes(updated: list[float], siblings: list[float]) -> list[BoxCounts]:
    return [*(box(one, updated=True) for one in updated), *(box(one, updated=False) for one in siblings)]


def test_boxes_that_count_as_before_are_not_taken_for_drifted() -> None:
    assert share_drifted(1.0) <= 0.02


def test_boxes_at_the_limit_are_hardly_taken_for_drifted() -> None:
    assert share_drifted(1.2) <= 0.08


@pytest.mark.parametrize("factor", [0.0, 0.5, 2.0])
def test_boxes_that_count_much_less_or_more_are(factor: float) -> None:
    assert share_drifted(factor) >= 0.9


def test_roads_that_are_closed_are_not_taken_for_the_model() -> None:
    assert share_drifted(1.0, Roads(busy=200, outliers=0.1)) <= 0.02


def test_roads_that_are_closed_do_not_hide_the_model() -> None:
    assert share_drifted(0.6, Roads(busy=200, outliers=0.1)) >= 0.7


def test_a_rush_hour_that_comes_to_all_is_no_drift() -> None:
    found = compare(boxes([300, 310, 290, 305, 300], [300, 290, 310, 295, 300]), 0.1)
    assert found.verdict == "within"
    assert found.effect == pytest.approx(0, abs=0.02)


def test_one_box_that_counts_nothing_is_no_drift_and_all_of_them_are() -> None:
    usual = [98.0, 99, 100, 101, 102, 100, 99, 101, 100, 100]
    assert compare(boxes([*usual[:9], 0], usual), 0.1).verdict == "within"
    found = compare(boxes([0.0] * 5, usual), 0.1)
    assert found.verdict == "drifted"
    assert (found.updated, found.siblings) == (5, 10)


def test_nothing_at_all_anywhere_is_no_drift() -> None:
    assert compare(boxes([0.0] * 5, [0.0] * 5), 0.1).verdict == "within"


def test_boxes_that_are_observed_for_longer_do_not_count_more() -> None:
    longer = [box(200, updated=True, after_hours=2) for _ in range(5)]
    assert compare([*longer, *boxes([], [100, 101, 99, 100, 100])], 0.1).verdict == "within"


@pytest.mark.parametrize(
    "idle",
    [
        box(100, updated=True, before=19),
        box(100, updated=True, before_hours=0.1),
        box(100, updated=True, after_hours=0.1),
    ],
)
def test_too_few_boxes_that_tell_anything_are_said_to_be(idle: BoxCounts) -> None:
    siblings = boxes([], [100.0] * 9)
    found = compare([*boxes([0, 0, 0], []), idle, *siblings], 0.1)
    assert (found.verdict, found.effect, found.updated) == ("too_few", None, 3)
    assert compare(boxes([0.0] * 9, [100.0] * 3), 0.1).verdict == "too_few"
    assert compare([], 0.1).verdict == "too_few"


COUNTED = st.lists(st.integers(0, 100_000), min_size=4, max_size=30)


@given(COUNTED, COUNTED, st.floats(0.01, 3))
def test_the_interval_holds_the_effect_and_drift_is_beyond_the_limit(
    updated: list[float], siblings: list[float], limit: float
) -> None:
    found = compare(boxes(updated, siblings), limit)
    assert found.effect is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.effect <= found.high
    assert found.verdict == "within" or abs(found.effect) > 0
    turned = compare(boxes(siblings, updated), limit)
    assert turned.verdict == found.verdict


@pytest.mark.parametrize(
    ("df", "value"),
    # From scipy.stats.t.ppf(0.975, df), version 1.17.1.
    [(1, 12.706_205), (1.5, 6.016_663), (3, 3.182_446), (4.7, 2.620_727), (30, 2.042_272), (50_000, 1.960_011)],
)
def test_quantiles_are_those_of_student(df: float, value: float) -> None:
    assert student_quantile(0.975, df) == pytest.approx(value, rel=1e-6)


@given(st.floats(0.5, 0.9999), st.floats(1, 2e6))
def test_a_quantile_is_exceeded_as_rarely_as_it_says(probability: float, df: float) -> None:
    assert student_below(student_quantile(probability, df), df) == pytest.approx(probability, abs=2e-6)
