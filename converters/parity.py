"""Does an artifact compute what the model computes: run on real frames and compared with the FP32 reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from contracts.manifest import DecodedParity, OutputParity, Parity
from runtime.results import Tensors

# The largest error allowed where nothing but the order of summing may differ, as a share of the output's range;
# measured with OpenVINO 2026.4 and ONNX Runtime 1.31 on 16 frames a source: vehicle-density 5e-7 to 7e-6, yolox-nano
# 3e-5 to 9e-5.
# Whatever rounds (weights, products, INT8) is held to what it counts instead: a detector's raw head reacts to rounding
# at places where it finds nothing, by half its range and more, while the counts stay.
EXACT_TOLERANCE = 1e-3

_GOLDEN_SLACK = 3.0  # times what was measured here: other hardware rounds otherwise, and frames differ
_GOLDEN_MOST = 0.9  # a device that finds nothing is off by 1
_GOLDEN_LEAST = 0.05  # of what the reference holds: what is nearly exact here need not be so elsewhere


def tolerance_of(precision: str, execution_precision: str, *, rounded: bool) -> float | None:
    """The largest raw error allowed, as a share of the output's range; None where the accuracy gate decides instead.

    Args:
        precision: what the file holds.
        execution_precision: what the runtime computes with.
        rounded: whether weights or activations were rounded in making the artifact.
    """
    exact = execution_precision == "f32" and not rounded and precision in {"fp32", "fp16"}
    return EXACT_TOLERANCE if exact else None


def decoded_parity(errors: Sequence[float], golden: Sequence[int]) -> DecodedParity:
    """The errors of decoded results, and what a device's self-test may find.

    Args:
        errors: one a frame.
        golden: which frames become golden samples.
    """
    of_samples = sum(errors[index] for index in golden) / len(golden)
    tolerance = min(max(_GOLDEN_SLACK * of_samples, _GOLDEN_LEAST), _GOLDEN_MOST)
    return DecodedParity(max_error=max(errors), golden_error=of_samples, tolerance=tolerance)


def compare(
    results: Sequence[Tensors], reference: Sequence[Tensors], *, execution_precision: str, tolerance: float | None
) -> Parity:
    """What the manifest says of an artifact's results.

    Args:
        results: what the artifact gave, one mapping a frame.
        reference: what the model gave.
        execution_precision: what the artifact was run with.
        tolerance: the largest error allowed, or None.
    """
    errors = worst_errors(results, reference)
    return Parity(
        execution_precision=execution_precision,
        frames=len(results),
        outputs=tuple(OutputParity(output=name, max_error=errors[name], tolerance=tolerance) for name in errors),
    )


def worst_errors(results: Sequence[Tensors], reference: Sequence[Tensors]) -> Mapping[str, float]:
    """Per output of the reference: largest absolute difference over all runs, divided by its largest absolute value.

    Infinite where an output is missing, has another shape or holds a NaN.
    """
    names = reference[0].keys()
    return {name: _worst([run.get(name) for run in results], [run[name] for run in reference]) for name in names}


def _worst(values: Sequence[NDArray[np.generic] | None], references: Sequence[NDArray[np.generic]]) -> float:
    largest = max(float(np.abs(reference.astype(np.float64)).max(initial=0.0)) for reference in references)
    difference = 0.0
    for value, reference in zip(values, references, strict=True):
        if value is None or value.shape != reference.shape or not np.isfinite(value.astype(np.float64)).all():
            return float("inf")
        gap = np.abs(value.astype(np.float64) - reference.astype(np.float64))
        difference = max(difference, float(gap.max(initial=0.0)))
    # An output that is zero everywhere has no range of its own: its error is taken as it is.
    return difference / largest if largest > 0 else difference
