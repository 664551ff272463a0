"""The gate lets nothing through that loses more than its budget, and says when the pictures are too few to tell."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import DocumentError
from contracts.measurement import Accuracy
from converters.gate import Counts, Truth, is_at_the_edge, judge

BUDGET = 0.01

count_lists = st.lists(st.floats(0, 200), min_size=8, max_size=40).filter(lambda counts: sum(counts) > 1)


def labelled(true: list[float] | Counts, reference: list[float] | Counts | None = None) -> Truth:
    known = np.array(true, np.float64)
    return Truth("labels", known, known if reference is None else np.array(reference, np.float64))


def street(pictures: int, seed: int = 0) -> Counts:
    return np.random.default_rng(seed).poisson(20, pictures).astype(np.float64)


@given(true=count_lists, off=st.floats(0, 5))
def test_what_counts_as_fp32_does_always_passes(true: list[float], off: float) -> None:
    reference = np.array(true) + off  # FP32 may be wrong itself: only what is lost on top of that counts
    accuracy = judge(reference, labelled(true, reference), BUDGET)
    assert accuracy.verdict == "passed"
    assert (accuracy.loss, accuracy.needed) == (0.0, None)
    assert accuracy.bias == pytest.approx(off)


@given(true=count_lists, share=st.floats(0.011, 3), sign=st.sampled_from([-1, 1]))
def test_a_bias_beyond_the_budget_always_fails(true: list[float], share: float, sign: int) -> None:
    counts = np.array(true) + sign * share * float(np.mean(true))
    accuracy = judge(counts, labelled(true), BUDGET)
    assert accuracy.verdict == "failed"
    assert accuracy.bias_change.estimate == pytest.approx(sign * share)


@given(true=count_lists, seed=st.integers(0, 2**32 - 1), spread=st.floats(0, 0.2))
def test_the_order_of_the_pictures_changes_nothing(true: list[float], seed: int, spread: float) -> None:
    random = np.random.default_rng(seed)
    known = np.array(true)
    reference, counts = (known * random.normal(1, spread, len(true)) for _ in range(2))
    order = random.permutation(len(true))
    here = judge(counts, labelled(known, reference), BUDGET)
    there = judge(counts[order], labelled(known[order], reference[order]), BUDGET)
    assert (here.verdict, here.needed) == (there.verdict, there.needed)
    assert here.bias_change == there.bias_change
    assert here.error_rise == there.error_rise


@given(true=count_lists, seed=st.integers(0, 2**32 - 1), max_loss=st.floats(0.001, 0.5))
def test_a_wider_budget_never_turns_a_pass_into_less(true: list[float], seed: int, max_loss: float) -> None:
    counts = np.array(true) * np.random.default_rng(seed).normal(1, 0.02, len(true))
    ranks = {"failed": 0, "undecided": 1, "passed": 2}
    narrow, wide = (judge(counts, labelled(true), budget).verdict for budget in (max_loss, 2 * max_loss))
    assert ranks[narrow] <= ranks[wide]


def test_errors_that_cancel_out_in_the_mean_still_fail_by_the_rise_of_the_error() -> None:
    true = street(300)
    accuracy = judge(true + np.where(np.arange(300) % 2, 3.0, -3.0), labelled(true), BUDGET)
    assert accuracy.bias_change.estimate == pytest.approx(0)
    assert accuracy.error_rise.estimate == pytest.approx(3 / true.mean())
    assert accuracy.verdict == "failed"


def test_an_artifact_may_be_nearer_to_the_truth_than_fp32_but_not_by_counting_otherwise() -> None:
    """Its error falls, and yet its mean moved: what was calibrated on FP32 would no longer hold."""
    true = street(300)
    accuracy = judge(true, labelled(true, true * 1.05), BUDGET)
    assert accuracy.error_rise.estimate < 0
    assert accuracy.verdict == "failed"


class TestTooFewPictures:
    def noisy(self, pictures: int, spread: float = 1.0) -> Accuracy:
        """No bias at all, and a spread that few pictures cannot tell from one."""
        true = np.full(pictures, 20.0)
        counts = true + spread * np.where(np.arange(pictures) % 2, 1.0, -1.0)
        reference = true + spread * np.where(np.arange(pictures) // 2 % 2, 1.0, -1.0)
        return judge(counts, labelled(true, reference), BUDGET)

    def test_is_said_with_how_many_it_would_take(self) -> None:
        accuracy = self.noisy(40)
        assert accuracy.verdict == "undecided"
        assert accuracy.needed is not None
        assert accuracy.needed > accuracy.n
        assert self.noisy(2 * accuracy.needed).verdict == "passed"

    @given(st.floats(0.5, 5), st.floats(1.1, 4))
    def test_takes_more_the_further_the_counts_scatter(self, spread: float, times: float) -> None:
        few, more = self.noisy(40, spread).needed, self.noisy(40, spread * times).needed
        assert more is not None
        assert (few or 0) < more

    @pytest.mark.parametrize("sign", [-1, 1])
    def test_is_said_where_the_mean_may_have_moved_too_far_to_one_side_only(self, sign: int) -> None:
        """One picture in 40 differs, and is as far from the truth as before: the error rises by nothing for sure."""
        true = np.full(40, 20.0)
        swing = np.where(np.arange(40) == 7, 3.0 * sign, 0.0)
        accuracy = judge(true + swing, labelled(true, true - swing), BUDGET)
        assert accuracy.error_rise.high == 0.0
        assert min(abs(accuracy.bias_change.low), abs(accuracy.bias_change.high)) == 0.0
        assert accuracy.verdict == "undecided"

    def test_is_no_excuse_for_an_estimate_beyond_the_budget(self) -> None:
        true = street(8)
        assert judge(true * 1.02, labelled(true), BUDGET).verdict == "failed"


class TestTheEdgeOfTheBudget:
    """Where the number of pictures that would decide says nothing but how near the estimate came."""

    @pytest.mark.parametrize(
        ("n", "needed", "edge"),
        [
            (16, 320, False),
            (16, 321, True),
            (300, 5000, False),
            (300, 5001, True),
            (4000, 8000, False),
            (4000, 8001, True),
            (16, None, False),
        ],
    )
    def test_is_where_it_would_take_twenty_times_the_pictures_or_more_than_anybody_labels(
        self, n: int, needed: int | None, edge: bool
    ) -> None:
        true = np.full(8, 20.0)
        accuracy = judge(true, labelled(true), BUDGET).model_copy(update={"n": n, "needed": needed})
        assert is_at_the_edge(accuracy) is edge

    @given(share=st.floats(0.97, 1.0), seed=st.integers(0, 2**32 - 1))
    def test_is_seen_in_counts_whose_loss_is_next_to_it(self, share: float, seed: int) -> None:
        true = np.full(40, 20.0)
        swing = np.random.default_rng(seed).permutation(np.resize([1.0, -1.0], 40))
        accuracy = judge(true + swing - share * BUDGET * 20, labelled(true, true + 2 * swing), BUDGET)
        assert accuracy.verdict == "undecided"
        assert is_at_the_edge(accuracy)


class TestBlindReference:
    """FP32 finds next to nothing of what is there: no loss could show."""

    def test_is_undecided_however_equal_and_no_number_of_pictures_would_help(self) -> None:
        true = street(50)
        accuracy = judge(true * 0.01, labelled(true, true * 0.01), BUDGET)
        assert (accuracy.verdict, accuracy.needed) == ("undecided", None)

    def test_lets_through_nothing_that_sees_what_is_not_there(self) -> None:
        true = street(50)
        assert judge(true * 0.2, labelled(true, true * 0.01), BUDGET).verdict == "failed"


@pytest.mark.parametrize("busy", [1, 2, 5])
def test_where_things_are_rare_the_interval_stays_finite(busy: int) -> None:
    true = np.zeros(200)
    true[:busy] = 3.0
    counts = true.copy()
    counts[-1] += 0.01
    accuracy = judge(counts, labelled(true), BUDGET)
    for interval in (accuracy.bias_change, accuracy.error_rise):
        assert all(math.isfinite(value) for value in (interval.low, interval.estimate, interval.high))
    assert Accuracy.model_validate_json(accuracy.model_dump_json()) == accuracy


@pytest.mark.parametrize(("kind", "said"), [("labels", "labels hold nothing"), ("reference", "counts nothing in FP32")])
def test_pictures_with_nothing_to_count_are_refused(kind: str, said: str) -> None:
    nothing = np.zeros(12)
    with pytest.raises(DocumentError, match=rf"--evaluation: .*{said} on 12; give other pictures"):
        Truth("labels" if kind == "labels" else "reference", nothing, nothing)


def test_counts_of_other_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 8 counts, got 7"):
        judge(street(7), labelled(street(8)), BUDGET)
