"""Tuning takes a systematic shift back, never makes its own pictures worse, and leaves what is not worth it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.manifest import Tuned
from contracts.model_spec import DensityOutput, ModelSpec, YoloxOutput
from converters.gate import Counts
from converters.tune import CountsWith, tune


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


def densities(sums: Counts) -> CountsWith:
    """What a density network counts whose maps sum up to these."""

    def counts(wanted: ModelSpec) -> Counts:
        assert isinstance(wanted.output, DensityOutput)
        return sums * wanted.output.scale

    return counts


def detections(scores: Counts) -> CountsWith:
    """What a detector counts whose boxes on each picture have the scores of a row."""

    def counts(wanted: ModelSpec) -> Counts:
        assert isinstance(wanted.output, YoloxOutput)
        return np.array([(row >= wanted.output.score).sum() for row in scores], np.float64)

    return counts


def off(counts: Counts, wanted: Counts) -> float:
    return abs(float((counts - wanted).mean()))


@given(
    sums=st.lists(st.floats(0, 50), min_size=8, max_size=20),
    factor=st.floats(0.5, 2),
    scale=st.floats(0.1, 10),
)
def test_a_scale_is_never_worse_on_its_own_pictures(sums: list[float], factor: float, scale: float) -> None:
    model, counts_with = spec(scale=scale), densities(np.array(sums))
    wanted = counts_with(model) * factor
    tuned = tune(model, counts_with, wanted)
    if tuned:
        assert tuned.score is None
        assert off(counts_with(tuned.applied_to(model)), wanted) <= off(counts_with(model), wanted) + 1e-9


@given(
    seed=st.integers(0, 2**32 - 1),
    shift=st.floats(-0.08, 0.08),
    score=st.floats(0.001, 0.999),
)
def test_a_threshold_is_never_worse_on_its_own_pictures(seed: int, shift: float, score: float) -> None:
    true = np.random.default_rng(seed).random((12, 30))
    wanted = detections(true)(detector(score))
    model, counts_with = detector(score), detections(true + shift)
    tuned = tune(model, counts_with, wanted)
    if tuned:
        assert tuned.scale is None
        assert tuned.score is not None
        assert abs(tuned.score - score) < 0.1 + 1e-4, "a wider shift is a broken artifact"
        assert off(counts_with(tuned.applied_to(model)), wanted) < off(counts_with(model), wanted)


def test_a_shift_of_the_scores_is_taken_back() -> None:
    true = np.random.default_rng(0).random((64, 50))
    wanted = detections(true)(detector(0.3))
    tuned = tune(detector(0.3), detections(true - 0.05), wanted)
    assert tuned == Tuned(score=0.25, scale=None)


def test_a_density_that_fell_by_a_tenth_is_scaled_up() -> None:
    sums = np.random.default_rng(0).random(16)
    tuned = tune(spec(scale=2.0), densities(0.9 * sums), 2.0 * sums)
    assert tuned is not None
    assert tuned.scale == pytest.approx(2.0 / 0.9)


@pytest.mark.parametrize("factor", [0.5, 0.9985, 1.0, 1.0015, 2.0])
def test_a_correction_too_small_to_tell_or_too_large_to_be_rounding_is_left_alone(factor: float) -> None:
    sums = np.random.default_rng(0).random(16)
    assert tune(spec(), densities(sums), factor * sums) is None


@pytest.mark.parametrize("score", [0.005, 0.3, 0.33333, 1 / 3, 0.995])
def test_any_threshold_that_model_toml_may_hold_can_be_tuned(score: float) -> None:
    scores = np.random.default_rng(0).random((16, 40))
    assert tune(detector(score), detections(scores), detections(scores)(detector(score))) is None


def test_where_nothing_is_found_nothing_is_set_anew() -> None:
    nothing = np.zeros((16, 4))
    assert tune(detector(0.3), detections(nothing), np.zeros(16)) is None
    assert tune(spec(), densities(np.zeros(16)), np.ones(16)) is None
    assert tune(spec(), densities(np.ones(16)), np.zeros(16)) is None
