"""Tuning takes a systematic shift back, never makes its own pictures worse, and leaves what is not worth it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.model_spec import ModelSpec, YoloxOutput
from converters.gate import Counts
from converters.tune import loosest, tune


def spec(**output: Any) -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "name": "tiny",
            "version": "1.0.0",
            "labels": ["vehicle"],
            "input": {"width": 64, "height": 64},
            "output": {"decoder": "density"} | output,
        }
    )


def detector(score: float) -> ModelSpec:
    return spec(decoder="yolox", score=score)


def counted(scores: Counts, threshold: float) -> int:
    return int((scores >= threshold).sum())


@given(
    sums=st.lists(st.floats(0, 50), min_size=8, max_size=20),
    factor=st.floats(0.5, 2),
    scale=st.floats(0.1, 10),
)
def test_a_scale_is_never_worse_on_its_own_pictures(sums: list[float], factor: float, scale: float) -> None:
    seen = np.array(sums) * scale
    wanted = float(seen.sum()) * factor
    tuned = tune(spec(scale=scale), seen, wanted)
    if tuned:
        assert tuned.score is None
        assert tuned.scale is not None
        assert seen.sum() * tuned.scale / scale == pytest.approx(wanted)


@given(
    seed=st.integers(0, 2**32 - 1),
    shift=st.floats(-0.08, 0.08),
    score=st.floats(0.001, 0.999),
)
def test_a_threshold_is_never_worse_on_its_own_pictures(seed: int, shift: float, score: float) -> None:
    true = np.random.default_rng(seed).random(360)
    wanted, model = counted(true, score), detector(score)
    seen = (true + shift)[true + shift >= lowest(model)]
    tuned = tune(model, seen, wanted)
    if tuned:
        assert tuned.scale is None
        assert tuned.score is not None
        assert abs(tuned.score - score) < 0.1 + 1e-4, "a wider shift is a broken artifact"
        assert abs(counted(seen, tuned.score) - wanted) < abs(counted(seen, score) - wanted)


def lowest(model: ModelSpec) -> float:
    output = loosest(model).output
    assert isinstance(output, YoloxOutput)
    return output.score


def test_a_shift_of_the_scores_is_taken_back() -> None:
    true = np.random.default_rng(0).random(3200)
    tuned = tune(detector(0.3), true - 0.05, counted(true, 0.3))
    assert tuned is not None
    assert tuned.score is not None
    assert tuned.score == pytest.approx(0.25, abs=1e-3)
    assert counted(true - 0.05, tuned.score) == counted(true, 0.3)


@pytest.mark.parametrize(("shift", "limit"), [(-0.2, 0.2), (0.2, 0.4)])
def test_a_shift_that_is_too_wide_is_taken_back_as_far_as_is_sensible(shift: float, limit: float) -> None:
    true = np.random.default_rng(0).random(3200)
    seen = (true + shift)[true + shift >= lowest(detector(0.3))]
    tuned = tune(detector(0.3), seen, counted(true, 0.3))
    assert tuned is not None
    assert tuned.score == pytest.approx(limit, abs=1e-3)


def test_a_density_that_fell_by_a_tenth_is_scaled_up() -> None:
    sums = np.random.default_rng(0).random(16)
    tuned = tune(spec(scale=2.0), 0.9 * sums, float(sums.sum()))
    assert tuned is not None
    assert tuned.scale == pytest.approx(2.0 / 0.9)


@pytest.mark.parametrize("factor", [0.5, 0.9985, 1.0, 1.0015, 2.0])
def test_a_correction_too_small_to_tell_or_too_large_to_be_rounding_is_left_alone(factor: float) -> None:
    sums = np.random.default_rng(0).random(16)
    assert tune(spec(), sums, factor * float(sums.sum())) is None


@pytest.mark.parametrize("score", [0.005, 0.3, 0.33333, 1 / 3, 0.995])
def test_any_threshold_that_model_toml_may_hold_can_be_tuned(score: float) -> None:
    scores = np.random.default_rng(0).random(640)
    assert tune(detector(score), scores, counted(scores, score)) is None


def test_where_nothing_is_found_nothing_is_set_anew() -> None:
    assert tune(detector(0.3), np.zeros(0), 3.0) is None
    assert tune(detector(0.3), np.array([0.5]), 0.0) is None
    assert tune(spec(), np.zeros(16), 16.0) is None
    assert tune(spec(), np.ones(16), 0.0) is None
