"""The error figure is what the manifest says it is, and nothing that is wrong passes for right."""

from __future__ import annotations

import math

import numpy as np
import pytest

from contracts.manifest import OutputParity
from converters.golden import sample_indices
from converters.parity import EXACT_TOLERANCE, compare, decoded_parity, tolerance_of, worst_errors
from runtime.results import Tensors


def scaled(factor: float) -> list[Tensors]:
    """What a network gives that multiplies the mean of its frame."""
    return [{"mean": np.array([level * factor], np.float32)} for level in (10, 200, 50)]


@pytest.mark.parametrize(
    ("factor", "tolerance", "passed"),
    [(1.0, 1e-3, True), (1.0005, 1e-3, True), (1.002, 1e-3, False), (math.nan, 1e-3, False), (1.5, None, True)],
)
def test_all_frames_count(factor: float, tolerance: float | None, passed: bool) -> None:
    parity = compare(scaled(factor), scaled(1.0), execution_precision="f32", tolerance=tolerance)
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


@pytest.mark.parametrize(
    ("precision", "execution_precision", "rounded", "exact"),
    [
        ("fp32", "f32", False, True),
        ("fp16", "f32", False, True),
        ("fp16", "f32", True, False),
        ("fp32", "bf16", False, False),
        ("fp32", "native", False, False),
        ("int8", "f32", True, False),
        ("int8", "f32", False, False),
    ],
)
def test_what_rounds_is_held_to_its_counts_and_all_else_to_the_reference_s_numbers(
    precision: str, execution_precision: str, rounded: bool, exact: bool
) -> None:
    tolerance = tolerance_of(precision, execution_precision, rounded=rounded)
    assert tolerance == (EXACT_TOLERANCE if exact else None)


@pytest.mark.parametrize(
    ("errors", "tolerance"),
    [([0.0, 0.9, 0.0], 0.05), ([0.1, 0.9, 0.2], 0.45), ([9.0, 0.9, 9.0], 0.9)],
)
def test_a_device_may_be_off_by_a_multiple_of_what_the_samples_showed_here_within_limits(
    errors: list[float], tolerance: float
) -> None:
    decoded = decoded_parity(errors, golden=[0, 2])
    assert decoded.max_error == max(errors)
    assert decoded.tolerance == pytest.approx(tolerance)


def test_golden_samples_are_the_frames_that_show_most() -> None:
    levels = [0.0, 0.1, 5.0, 0.2, 4.0, 0.0, 3.0]
    reference: list[Tensors] = [{"a": np.array([level, -0.05])} for level in levels]
    assert sample_indices(reference) == [2, 4, 6]
    assert sample_indices(reference[:2]) == [0, 1], "there are no more than frames"
