"""The golden self-test: an artifact has to give, on this very box, what its reference gave for the bundle's samples."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from contracts.errors import BundleError, GoldenError
from contracts.manifest import Artifact, Golden
from runtime.backends.base import Lane
from runtime.bundle import Bundle
from runtime.results import Array, Tensors

SLACK = 2.0  # times the tolerance of the parity check: other hardware sums in another order
_FALLBACK = 0.05  # of the largest value; for an execution precision that the converter could not try


def check_golden(lane: Lane, bundle: Bundle, artifact: Artifact, execution_precision: str) -> None:
    """Run the samples through a lane and compare.

    Args:
        lane: opened on the artifact with ``execution_precision``.
        bundle: where the samples are.
        artifact: what the lane runs.
        execution_precision: decides the tolerances, which the converter measured.

    Raises:
        GoldenError: an output is too far off, or holds a NaN.
        BundleError: there is no sample, or it was changed.
    """
    if not bundle.manifest.golden:
        raise BundleError(f"{bundle.path}: expected golden samples, there are none; build the bundle again")
    tolerances = _tolerances(artifact, execution_precision)
    for sample in bundle.manifest.golden:
        frame, expected = _load(bundle, sample)
        (tensor,) = artifact.inputs
        outputs = lane.infer({tensor.name: frame[np.newaxis]})
        for name, reference in expected.items():
            _compare(artifact, name, outputs, reference, tolerances.get(name, _FALLBACK))


def relative_error(value: Array, reference: Array) -> float:
    """Largest absolute difference over the reference's largest absolute value; infinite where a value is NaN."""
    if value.shape != reference.shape or not np.isfinite(value.sum(dtype=np.float64)):
        return float("inf")
    largest = float(np.abs(reference).max(initial=0.0))
    return float(np.abs(value.astype(np.float64) - reference).max(initial=0.0)) / max(largest, 1e-6)


def _tolerances(artifact: Artifact, execution_precision: str) -> Mapping[str, float]:
    return {
        output.output: output.tolerance * SLACK
        for parity in artifact.parity
        if parity.execution_precision == execution_precision
        for output in parity.outputs
    }


def _load(bundle: Bundle, sample: Golden) -> tuple[Array, Tensors]:
    try:
        frame = np.load(bundle.file(sample.frame), allow_pickle=False)
        with np.load(bundle.file(sample.expected), allow_pickle=False) as arrays:
            return frame, {name: arrays[name] for name in arrays.files}
    except ValueError as error:
        raise BundleError(
            f"{bundle.path}: a golden sample is no NumPy file: {error}; build the bundle again"
        ) from error


def _compare(artifact: Artifact, name: str, outputs: Tensors, reference: Array, tolerance: float) -> None:
    if name not in outputs:
        raise GoldenError(f"{artifact.id}: expected output {name!r}, got {', '.join(outputs)}; build the bundle again")
    error = relative_error(outputs[name], reference)
    if not error <= tolerance:
        raise GoldenError(
            f"{artifact.id}: output {name!r} is off by {error:.2g} of its range on the golden sample, "
            f"at most {tolerance:.2g} is allowed; this device computes something else: choose another artifact"
        )
