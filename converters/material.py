"""What every artifact is tried on: pictures to compare, to judge and to tune on, and what FP32 makes of them.

It is handed to other processes, so it holds arrays and paths only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from contracts.model_spec import DensityOutput, ModelSpec
from contracts.output_spec import ClassesOutput, LandmarksOutput
from converters.gate import Counts, Truth
from converters.pictures.dataset import Dataset
from converters.pictures.item import spread
from converters.source import Model
from converters.tune import loosest
from runtime.decoders.table import open_decoder
from runtime.metrics import agreeing, count_of
from runtime.results import Detections, Result, Tensors

PARITY_FRAMES = 16
ANSWERING = (ClassesOutput, LandmarksOutput)
"""Outputs whose results are right or wrong: the budget is of the share of right ones, the accuracy."""


@dataclass(frozen=True)
class Material:
    """What an artifact is tried on, and what the FP32 reference gave for it.

    Args:
        spec: the model.
        input_name: of its one input.
        evaluation: pictures to judge on; the parity frames are some of them.
        judged: indices of those that are judged on.
        truth: true and FP32 counts of these.
        frames: indices of the parity frames.
        reference: the reference's outputs for the parity frames.
        calibration: pictures to calibrate and tune on.
        tuning: indices of those to tune on.
        tuning_counts: what FP32 counts on these.
        handed_on: names of what the first of two stages hands on; none where the network runs as a whole.
    """

    spec: ModelSpec
    input_name: str
    evaluation: Dataset
    judged: tuple[int, ...]
    truth: Truth
    frames: tuple[int, ...]
    reference: list[Tensors]
    calibration: Dataset
    tuning: tuple[int, ...]
    tuning_counts: Counts
    handed_on: frozenset[str] = frozenset()

    def compared(self, outputs: Tensors) -> Tensors:
        """Those that are compared number by number.

        Of two stages it is what goes between them: how many results the second gives depends on rounding.
        """
        return {name: value for name, value in outputs.items() if not self.handed_on or name in self.handed_on}

    def results(self, outputs: Tensors) -> Tensors:
        """Those that the decoder reads: the network's own."""
        return {name: value for name, value in outputs.items() if name not in self.handed_on}

    def limited(self, pictures: int | None) -> Material:
        """The same with fewer pictures in every role, for what takes seconds a picture; itself where None.

        Raises:
            DocumentError: nothing is on those that are left to judge on.
        """
        if pictures is None:
            return self
        judged, frames, tuning = (spread(len(part), pictures) for part in (self.judged, self.frames, self.tuning))
        return replace(
            self,
            judged=tuple(self.judged[index] for index in judged),
            truth=Truth(self.truth.kind, self.truth.true[judged], self.truth.reference[judged]),
            frames=tuple(self.frames[index] for index in frames),
            reference=[self.reference[index] for index in frames],
            tuning=tuple(self.tuning[index] for index in tuning),
            tuning_counts=self.tuning_counts[tuning],
        )


def class_ids(spec: ModelSpec) -> frozenset[int] | None:
    """Which classes the budget counts; None for all."""
    return frozenset(spec.labels.index(label) for label in spec.budget.labels) or None


def counts_of(spec: ModelSpec, outputs: Iterable[Tensors], dataset: Dataset, indices: Sequence[int]) -> Counts:
    """What a model counts on pictures of a dataset; of one that answers, how many of its answers are right.

    Args:
        spec: decides the decoder.
        outputs: the network's, one mapping for each of ``indices``.
        dataset: where the pictures lie in the input.
        indices: which pictures.
    """
    classes, answers = class_ids(spec), dataset.answers
    pairs = zip(results_of(spec, outputs, dataset, indices), indices, strict=True)
    if answers is None:
        return np.array([count_of(result, classes) for result, _ in pairs], np.float64)
    return np.array([agreeing(result, answers[index]) for result, index in pairs], np.float64)


def seen_of(spec: ModelSpec, outputs: Iterable[Tensors], dataset: Dataset, indices: Sequence[int]) -> Counts:
    """What `converters.tune.tune` looks at: a density's counts, or the scores of what may be counted.

    Arguments as in `counts_of`.
    """
    if isinstance(spec.output, DensityOutput):
        return counts_of(spec, outputs, dataset, indices)
    classes, results = class_ids(spec), results_of(loosest(spec), outputs, dataset, indices)
    return np.concatenate([_scores(result, classes) for result in results], dtype=np.float64)


def _scores(result: Result, classes: frozenset[int] | None) -> NDArray[np.float32]:
    assert isinstance(result, Detections)  # all others are answers or densities
    return result.scores if classes is None else result.scores[np.isin(result.class_ids, list(classes))]


def results_of(
    spec: ModelSpec, outputs: Iterable[Tensors], dataset: Dataset, indices: Sequence[int]
) -> Iterator[Result]:
    """What a network's outputs mean; arguments as in `counts_of`."""
    decoder = open_decoder(spec)
    for output, index in zip(outputs, indices, strict=True):
        yield decoder.decode(output, dataset.placements[index])


def make_material(model: Model, calibration: Dataset, evaluation: Dataset) -> Material:
    """Run the FP32 reference over the pictures.

    Args:
        model: what was read.
        calibration: pictures to calibrate and tune on.
        evaluation: pictures to judge on.

    Raises:
        ModelFileError: the reference does not run, or gives no finite numbers.
        DocumentError: nothing is on the pictures that could be counted.
    """
    calibration, evaluation = (_with_answers(model, dataset) for dataset in (calibration, evaluation))
    judged = tuple(range(len(evaluation)))
    frames = tuple(spread(len(evaluation), PARITY_FRAMES))
    tuning = tuple(range(len(calibration)))
    counts = _reference_counts(model, evaluation, judged)
    truth = Truth("reference", counts, counts)
    if evaluation.counts is not None and evaluation.answers is None:
        truth = Truth("labels", evaluation.counts, counts)
    return Material(
        spec=model.directory.spec,
        input_name=model.input_name,
        evaluation=evaluation,
        judged=judged,
        truth=truth,
        frames=frames,
        reference=list(model.run(evaluation.tensors()[index] for index in frames)),
        calibration=calibration,
        tuning=tuning,
        tuning_counts=_reference_counts(model, calibration, tuning),
        handed_on=frozenset(model.directory.spec.cut_at),
    )


def _reference_counts(model: Model, dataset: Dataset, indices: Sequence[int]) -> Counts:
    return counts_of(model.directory.spec, _reference_outputs(model, dataset, indices), dataset, indices)


def _reference_outputs(model: Model, dataset: Dataset, indices: Sequence[int]) -> Iterator[Tensors]:
    """What the decoder reads, one picture after the other."""
    tensors, between = dataset.tensors(), frozenset(model.directory.spec.cut_at)
    for run in model.run(tensors[index] for index in indices):
        yield {name: value for name, value in run.items() if name not in between}


def _with_answers(model: Model, dataset: Dataset) -> Dataset:
    """The dataset with FP32's own answers, where the model answers rather than counts."""
    spec = model.directory.spec
    if not isinstance(spec.output, ANSWERING):
        return dataset
    every = range(len(dataset))
    outputs = _reference_outputs(model, dataset, every)
    return replace(dataset, answers=tuple(results_of(spec, outputs, dataset, every)))
