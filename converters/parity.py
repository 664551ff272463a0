"""Does an artifact compute what the model computes: run on real frames and compared with the FP32 reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from contracts.manifest import OutputParity, Parity
from runtime.backends.base import Lane
from runtime.results import Tensors

# The largest error allowed, as a share of the output's range; behind each what was measured with OpenVINO 2026.4 on an
# AMX Xeon, 16 frames a source: synthetic road, top-view pictures, a nearly empty clip. A detector's raw head reacts to
# rounding at places where it finds nothing, so that yolox-nano keeps f32 only; its counts are for the accuracy gate.
F32_TOLERANCE = 1e-3  # another order of summing: vehicle-density 5e-7 to 7e-6, yolox-nano 3e-5 to 9e-5
FP16_WEIGHTS_TOLERANCE = 2e-2  # 11 bits a weight: vehicle-density 1.2e-3 to 1.6e-2, yolox-nano 0.12 to 0.48
BF16_TOLERANCE = 5e-2  # 8 bits a product: vehicle-density 1.1e-2 to 2.0e-2, nearly empty 0.22, yolox-nano 0.57 to 0.95


def tolerance_of(execution_precision: str, *, rounded: bool) -> float:
    """The largest error allowed, as a share of the output's range.

    Args:
        execution_precision: what the runtime computes with.
        rounded: whether the weights were rounded in making the artifact.
    """
    if execution_precision == "bf16":
        return BF16_TOLERANCE
    return FP16_WEIGHTS_TOLERANCE if rounded or execution_precision == "f16" else F32_TOLERANCE


def run_lane(lane: Lane, input_name: str, frames: Sequence[NDArray[np.uint8]]) -> list[Tensors]:
    """The outputs of a lane for frames, uint8 ``(1, height, width, 3)`` BGR.

    Raises:
        ArtifactError: the artifact does not take the frames.
    """
    results: list[Tensors] = []
    for frame in frames:
        outputs = lane.infer({input_name: frame})
        results.append({name: value.copy() for name, value in outputs.items()})  # the lane reuses its memory
    return results


def compare(
    results: Sequence[Tensors], reference: Sequence[Tensors], *, execution_precision: str, tolerance: float
) -> Parity:
    """What the manifest says of an artifact's results.

    Args:
        results: what the artifact gave, one mapping a frame.
        reference: what the model gave.
        execution_precision: what the artifact was run with.
        tolerance: the largest error allowed.
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
