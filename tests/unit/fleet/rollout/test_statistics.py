"""What boxes without failures prove, against figures that are known and sums that are exact."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.rollout.statistics import boxes_needed, failure_rate_bound

CONFIDENCES = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99])


def at_most(failures: int, n: int, rate: Fraction) -> Fraction:
    """Probability of at most so many failures, without rounding."""
    terms = (comb(n, failed) * rate**failed * (1 - rate) ** (n - failed) for failed in range(failures + 1))
    return sum(terms, Fraction(0))


@pytest.mark.parametrize(("n", "percent"), [(5, 45.1), (29, 9.8), (59, 4.95), (299, 1.0)])
def test_boxes_without_failure_exclude_what_is_known_that_they_exclude(n: int, percent: float) -> None:
    assert failure_rate_bound(n, 0) * 100 == pytest.approx(percent, abs=0.05)


@pytest.mark.parametrize(
    ("n", "failures", "bound"),
    # From scipy.stats.beta.ppf(0.95, failures + 1, n - failures), version 1.17.1.
    [(10, 1, 0.39416), (59, 1, 0.077_90), (100, 3, 0.075_71), (1000, 10, 0.016_90), (20, 19, 0.997_44)],
)
def test_the_bound_with_failures_is_that_of_clopper_and_pearson(n: int, failures: int, bound: float) -> None:
    assert failure_rate_bound(n, failures) == pytest.approx(bound, abs=5e-5)


@given(st.integers(1, 60), st.data(), CONFIDENCES)
def test_at_the_bound_so_few_failures_are_as_rare_as_the_confidence_says(
    n: int, data: st.DataObject, confidence: float
) -> None:
    failures = data.draw(st.integers(0, n - 1))
    bound = failure_rate_bound(n, failures, confidence)
    assert float(at_most(failures, n, Fraction(bound))) == pytest.approx(1 - confidence, rel=1e-8)


@given(st.integers(0, 100_000), st.integers(0, 30), CONFIDENCES)
def test_more_boxes_prove_more_and_more_failures_less(more: int, failures: int, confidence: float) -> None:
    n = failures + more
    bound = failure_rate_bound(n, failures, confidence)
    assert 0 < bound <= 1
    assert (
        failure_rate_bound(n + 1, failures, confidence) <= bound <= failure_rate_bound(n + 1, failures + 1, confidence)
    )


@given(st.floats(0.0005, 0.999), CONFIDENCES, st.integers(0, 10))
def test_so_many_boxes_as_are_needed_exclude_the_rate_and_one_less_does_not(
    rate: float, confidence: float, failures: int
) -> None:
    needed = boxes_needed(rate, confidence, failures)
    assert failure_rate_bound(needed, failures, confidence) <= rate
    assert failure_rate_bound(needed - 1, failures, confidence) > rate


def test_the_boxes_needed_are_the_ones_that_are_known() -> None:
    assert [boxes_needed(rate) for rate in (0.1, 0.05, 0.01)] == [29, 59, 299]


def test_nobody_proves_nothing() -> None:
    assert failure_rate_bound(0, 0) == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda: failure_rate_bound(3, 4),
        lambda: failure_rate_bound(3, -1),
        lambda: failure_rate_bound(3, 0, 1.0),
        lambda: failure_rate_bound(3, 0, float("nan")),
        lambda: boxes_needed(0.0),
        lambda: boxes_needed(1.0),
        lambda: boxes_needed(1e-18),
    ],
)
def test_what_makes_no_sense_is_refused(call: object) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match="expected"):
        call()
