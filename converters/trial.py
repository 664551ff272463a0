"""Trying an artifact with one execution precision: run on this host, compared, tuned, judged."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.errors import ParityError
from contracts.manifest import DecodedParity, Parity, Tuned
from contracts.measurement import Accuracy
from contracts.model_spec import ModelSpec
from converters.gate import Counts, judge
from converters.golden import sample_indices
from converters.material import Material, counts_of, seen_of
from converters.parity import compare, decoded_parity
from converters.pictures.dataset import Dataset
from converters.tune import tune
from runtime.backends.base import Lane
from runtime.decoders.table import open_decoder
from runtime.metrics import result_error
from runtime.results import Tensors

_AT_ONCE = 64  # pictures whose raw outputs are held in memory


@dataclass(frozen=True)
class Trial:
    """What an artifact showed.

    Args:
        execution_precision: what it computed with.
        parity: its outputs against the reference's.
        accuracy: what it loses.
        tuned: what was set anew for it.
    """

    execution_precision: str
    parity: Parity
    accuracy: Accuracy
    tuned: Tuned | None


def try_lanes(lanes: Sequence[Lane], material: Material, execution_precision: str, tolerance: float | None) -> Trial:
    """Run an artifact over the material.

    Args:
        lanes: opened on it; each is called by one thread.
        material: what it is tried on.
        execution_precision: what the lanes compute with.
        tolerance: the largest raw error allowed, as a share of the output's range; None where rounding is meant to
            change the numbers, in which case threshold or scale are tuned.

    Raises:
        ArtifactError: it does not run, or its outputs are not what the decoder reads.
    """
    runner = _Runner(lanes, material.input_name)
    tuned = _tuned(runner, material) if tolerance is None else None
    spec = tuned.applied_to(material.spec) if tuned else material.spec
    outputs = list(runner.run(material.evaluation, material.frames))
    ours, theirs = ([material.compared(run) for run in runs] for runs in (outputs, material.reference))
    parity = compare(ours, theirs, execution_precision=execution_precision, tolerance=tolerance)
    _check_comparable(parity)
    counts = _counts(runner, spec, material, dict(zip(material.frames, outputs, strict=True)))
    return Trial(
        execution_precision,
        parity.model_copy(update={"decoded": _decoded(outputs, material, spec)}),
        judge(counts, material.truth, material.spec.budget.max_loss),
        tuned,
    )


def _check_comparable(parity: Parity) -> None:
    """What is no result at all has no error that a tolerance or a decoder could tell."""
    for output in parity.outputs:
        if not math.isfinite(output.max_error):
            raise ParityError(
                f"output {output.output!r} is missing, of another shape than the model's or not finite; "
                "choose another precision"
            )


class _Runner:
    """All lanes of an artifact at once over pictures, whose results come in the pictures' order."""

    def __init__(self, lanes: Sequence[Lane], input_name: str) -> None:
        self._lanes = lanes
        self._input_name = input_name

    def results(self, dataset: Dataset, indices: Sequence[int], material: Material) -> Iterator[Tensors]:
        """Of the outputs for some pictures what the decoder reads, so many at once that memory stays bounded."""
        for start in range(0, len(indices), _AT_ONCE):
            yield from [material.results(run) for run in self.run(dataset, indices[start : start + _AT_ONCE])]

    def run(self, dataset: Dataset, indices: Sequence[int]) -> Iterator[Tensors]:
        """The outputs for some pictures of a dataset, so many at once that memory stays bounded."""
        tensors = dataset.tensors()
        with ThreadPoolExecutor(len(self._lanes)) as pool:
            for start in range(0, len(indices), _AT_ONCE):
                part = indices[start : start + _AT_ONCE]
                found: dict[int, Tensors] = {}
                for some in pool.map(
                    lambda number, part=part: self._work(number, tensors, part), range(len(self._lanes))
                ):
                    found |= some
                yield from (found[index] for index in part)

    def _work(self, number: int, tensors: NDArray[np.uint8], indices: Sequence[int]) -> dict[int, Tensors]:
        mine = indices[number :: len(self._lanes)]
        return {index: self._once(self._lanes[number], tensors[index]) for index in mine}

    def _once(self, lane: Lane, frame: NDArray[np.uint8]) -> Tensors:
        outputs = lane.infer({self._input_name: np.array(frame, order="C")[np.newaxis]})
        return {name: value.copy() for name, value in outputs.items()}  # the lane reuses its memory


def _counts(runner: _Runner, spec: ModelSpec, material: Material, known: Mapping[int, Tensors]) -> Counts:
    """What is counted on the judged pictures; those of which the outputs are known are not run again.

    An emulated accelerator takes seconds a picture.
    """
    dataset = material.evaluation
    new = [index for index in material.judged if index not in known]
    counted: dict[int, float] = {}
    for start in range(0, len(new), _AT_ONCE):
        part = new[start : start + _AT_ONCE]
        found = counts_of(spec, list(runner.results(dataset, part, material)), dataset, part)
        counted |= zip(part, found.tolist(), strict=True)
    seen = [index for index in material.judged if index in known]
    found = counts_of(spec, [material.results(known[index]) for index in seen], dataset, seen)
    counted |= zip(seen, found.tolist(), strict=True)
    return np.array([counted[index] for index in material.judged], np.float64)


def _tuned(runner: _Runner, material: Material) -> Tuned | None:
    if material.calibration.answers is not None:
        return None  # no threshold makes an answer another one
    outputs = runner.results(material.calibration, material.tuning, material)
    seen = seen_of(material.spec, outputs, material.calibration, material.tuning)
    return tune(material.spec, seen, float(material.tuning_counts.sum()))


def _decoded(outputs: Sequence[Tensors], material: Material, spec: ModelSpec) -> DecodedParity:
    ours, theirs = open_decoder(spec), open_decoder(material.spec)
    placements = [material.evaluation.placements[index] for index in material.frames]
    errors = [
        result_error(ours.decode(material.results(output), where), theirs.decode(material.results(reference), where))
        for output, reference, where in zip(outputs, material.reference, placements, strict=True)
    ]
    return decoded_parity(errors, sample_indices([material.results(run) for run in material.reference]))
