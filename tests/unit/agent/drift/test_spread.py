"""What a model answers, in bins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.drift.spread import PEAKS, SCORES, spread_of, stability_index
from runtime.results import DensityMap, Detections

SPREADS = st.lists(st.integers(0, 10_000), min_size=10, max_size=10).filter(any)


def detections(*scores: float) -> Detections:
    n = len(scores)
    return Detections(np.zeros((n, 4), np.float32), np.array(scores, np.float32), np.zeros(n, np.int64))


@given(st.lists(st.floats(0, 1, width=32), max_size=50))
def test_every_detection_lands_in_one_bin(scores: list[float]) -> None:
    assert spread_of(detections(*scores), 0.0, SCORES).sum() == len(scores)


@given(st.floats(0, 1e6, width=32))
def test_a_map_of_any_height_is_one_answer(peak: float) -> None:
    assert spread_of(DensityMap(np.full((2, 2), peak, np.float32)), 1.0, PEAKS).sum() == 1


def test_a_map_without_a_thing_says_nothing_of_how_sure_the_model_is() -> None:
    assert spread_of(DensityMap(np.full((2, 2), 0.1, np.float32)), 0.4, PEAKS).sum() == 0


def test_scores_stand_in_their_tenths() -> None:
    found = spread_of(detections(0.05, 0.15, 0.95, 1.0), 0.0, SCORES)
    assert found.tolist() == [1, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    assert SCORES.mean(found) == pytest.approx((0.05 + 0.15 + 0.95 * 2) / 4)
    assert SCORES.mean(SCORES.empty) is None


@given(SPREADS, SPREADS)
def test_the_index_is_nought_for_the_same_spread_and_else_above(usual: list[int], now: list[int]) -> None:
    shares = np.array(usual) / sum(usual)
    assert stability_index(shares, np.array(usual)) == pytest.approx(0.0, abs=1e-9)
    assert np.isfinite(stability_index(shares, np.array(now)))
    assert stability_index(shares, np.array(now)) >= -1e-9
