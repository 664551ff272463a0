"""The golden self-test: an artifact has to give, on this very box, what its reference gave for the bundle's samples."""

from __future__ import annotations

import numpy as np

from contracts.errors import BundleError, GoldenError
from contracts.manifest import Artifact, DecodedParity, Golden, Parity
from runtime.backends.base import Lane
from runtime.bundle import Bundle
from runtime.decoders.table import open_decoder
from runtime.golden_samples import read_expected, read_frame
from runtime.metrics import result_error
from runtime.prepare import place
from runtime.results import Array, Tensors

SLACK = 2.0  # times the tolerance of the parity check: other hardware sums in another order
_UNTRIED = 0.2  # of what the reference holds; where the converting host could not run the artifact


def check_golden(lane: Lane, bundle: Bundle, artifact: Artifact, execution_precision: str) -> None:
    """Run the samples through a lane and compare.

    Args:
        lane: opened on the artifact with ``execution_precision``.
        bundle: where the samples are.
        artifact: what the lane runs.
        execution_precision: decides the tolerances, which the converter measured: of the raw outputs where nothing
            was rounded, of the decoded result everywhere.

    Raises:
        GoldenError: an output is too far off, or holds a NaN.
        BundleError: there is no sample, or it was changed.
    """
    if not bundle.manifest.golden:
        raise BundleError(f"{bundle.path}: expected golden samples, there are none; build the bundle again")
    parity = _parity(artifact, execution_precision)
    model, (tensor,) = bundle.manifest.model, artifact.inputs
    where = place(model.input, model.input.width, model.input.height)
    ours, theirs = open_decoder(artifact.tuned_spec(model, execution_precision)), open_decoder(model)
    errors = []
    for sample in bundle.manifest.golden:
        frame, expected = _load(bundle, sample, artifact)
        outputs = lane.infer({tensor.name: frame[np.newaxis]})
        if artifact.host_stage is None:  # else how many results there are depends on rounding
            _check_raw(artifact, parity, outputs, expected)
        if parity.decoded:
            errors.append(result_error(ours.decode(outputs, where), theirs.decode(expected, where)))
    if parity.decoded:
        _check(artifact, "the result", float(np.mean(errors)), parity.decoded.tolerance)


def _parity(artifact: Artifact, execution_precision: str) -> Parity:
    for parity in artifact.parity:
        compares = parity.decoded or any(output.tolerance is not None for output in parity.outputs)
        if parity.execution_precision == execution_precision and compares:
            return parity
    decoded = DecodedParity(max_error=0.0, tolerance=_UNTRIED)
    return Parity(execution_precision=execution_precision, frames=0, outputs=(), decoded=decoded)


def _check_raw(artifact: Artifact, parity: Parity, outputs: Tensors, expected: Tensors) -> None:
    known = {output.output: output.tolerance for output in parity.outputs}
    for name, reference in expected.items():
        if name not in outputs:
            raise GoldenError(
                f"{artifact.id}: expected output {name!r}, got {', '.join(outputs)}; build the bundle again"
            )
        if outputs[name].shape != reference.shape:
            raise GoldenError(
                f"{artifact.id}: expected output {name!r} of shape {reference.shape}, got {outputs[name].shape}; "
                "build the bundle again"
            )
        tolerance = known.get(name)
        if tolerance is not None:
            error = relative_error(outputs[name], reference)
            _check(artifact, f"output {name!r}", error, tolerance * SLACK)


def _check(artifact: Artifact, what: str, error: float, tolerance: float) -> None:
    if not error <= tolerance:
        raise GoldenError(
            f"{artifact.id}: {what} is off by {error:.2g} of its range on the golden sample, at most {tolerance:.2g} "
            "is allowed; this device computes something else: choose another artifact"
        )


def relative_error(value: Array, reference: Array) -> float:
    """Largest absolute difference over the reference's largest absolute value; infinite where a value is NaN."""
    if value.shape != reference.shape or not np.isfinite(value.sum(dtype=np.float64)):
        return float("inf")
    largest = float(np.abs(reference).max(initial=0.0))
    return float(np.abs(value.astype(np.float64) - reference).max(initial=0.0)) / max(largest, 1e-6)


def _load(bundle: Bundle, sample: Golden, artifact: Artifact) -> tuple[Array, Tensors]:
    """The picture that goes in and what has to come out; see `runtime.golden_samples` for what is refused."""
    (tensor,) = artifact.inputs
    outputs = artifact.host_stage.outputs if artifact.host_stage else artifact.outputs
    frame = read_frame(bundle.file(sample.frame), tensor.shape[1:])
    return frame, read_expected(bundle.file(sample.expected), outputs)
