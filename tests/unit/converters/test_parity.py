"""The error figure is what the manifest says it is, and nothing that is wrong passes for right."""

from __future__ import annotations

import math

import numpy as np
import pytest

from contracts.manifest import OutputParity
from converters.golden import sample_indices
from converters.parity import compare, run_lane, tolerance_of, worst_errors
from runtime.results import Tensors


class Scaled:
    """A lane that gives the mean of its frame times a factor, always in the same memory."""

    def __init__(self, factor: float) -> None:
        self._factor = factor
        self._memory = np.zeros(1, np.float32)

    def infer(self, tensors: Tensors) -> Tensors:
        self._memory[0] = tensors["image"].mean() * self._factor
        return {"mean": self._memory}

    def close(self) -> None:
        pass


FRAMES = [np.full((1, 2, 2, 3), level, np.uint8) for level in (10, 200, 50)]
REFERENCE: list[Tensors] = [{"mean": frame.mean(keepdims=True).reshape(1).astype(np.float32)} for frame in FRAMES]


@pytest.mark.parametrize(("factor", "passed"), [(1.0, True), (1.0005, True), (1.002, False), (math.nan, False)])
def test_a_lane_is_measured_on_every_frame(factor: float, passed: bool) -> None:
    results = run_lane(Scaled(factor), "image", FRAMES)
    parity = compare(results, REFERENCE, execution_precision="f32", tolerance=1e-3)
    assert parity.passed is passed
    assert (parity.frames, parity.execution_precision) == (3, "f32")


def test_the_error_is_the_largest_difference_over_the_largest_value_of_all_frames() -> None:
    reference: list[Tensors] = [{"a": np.array([0.0, 4.0])}, {"a": np.array([1.0, -8.0])}]
    results: list[Tensors] = [{"a": np.array([0.0, 4.0])}, {"a": np.array([2.0, -8.0])}]
    assert worst_errors(results, reference) == {"a": pytest.approx(1 / 8)}


def test_an_output_that_is_always_zero_is_compared_as_it_is() -> None:
    reference: list[Tensors] = [{"a": np.zeros(3)}]
    assert worst_errors([{"a": np.zeros(3)}], reference) == {"a": 0.0}
    assert worst_errors([{"a": np.array([0.0, 0.5, 0.0])}], reference) == {"a": 0.5}


@pytest.mark.parametrize(
    "wrong", [{}, {"a": np.zeros((3, 1))}, {"a": np.array([0.0, np.nan, 0.0])}, {"a": np.array([0.0, np.inf, 0.0])}]
)
def test_missing_misshapen_and_unfinite_outputs_never_pass(wrong: Tensors) -> None:
    errors = worst_errors([wrong], [{"a": np.zeros(3)}])
    assert not OutputParity(output="a", max_error=errors["a"], tolerance=1e9).passed


def test_only_what_rounds_may_be_off_further() -> None:
    assert tolerance_of("f32", rounded=False) < tolerance_of("f32", rounded=True) < tolerance_of("bf16", rounded=False)


def test_golden_samples_are_the_frames_that_show_most() -> None:
    levels = [0.0, 0.1, 5.0, 0.2, 4.0, 0.0, 3.0]
    reference: list[Tensors] = [{"a": np.array([level, -0.05])} for level in levels]
    assert sample_indices(reference) == [2, 4, 6]
    assert sample_indices(reference[:2]) == [0, 1], "there are no more than frames"
