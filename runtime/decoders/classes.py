"""Classifiers: one question or several about the whole picture."""

from __future__ import annotations

import numpy as np

from contracts.errors import ArtifactError
from contracts.model_spec import ModelSpec
from contracts.output_spec import ClassesOutput
from runtime.decoders.boxes import Floats, Ids
from runtime.decoders.outputs import Shape, only_output
from runtime.decoders.scores import check_scores, softmax
from runtime.prepare import Placement
from runtime.results import UNSURE, Classes, Tensors

_SUM = 0.05  # off which a sum of probabilities may be, rounded to 8 bits


class ClassesDecoder:
    """Reads ``(1, labels)`` or ``(1, labels, 1, 1)``, in one output or in one for each head.

    Args:
        spec: the model.
        score: instead of the model's own threshold.
    """

    def __init__(self, spec: ModelSpec, score: float | None = None) -> None:
        assert isinstance(spec.output, ClassesOutput)
        self._score = score or spec.output.score
        self._kind = spec.output.scores
        self._labels = len(spec.labels)
        self._heads = {
            head.output: np.array([spec.labels.index(label) for label in head.labels], np.int64)
            for head in spec.output.head
        }

    def decode(self, outputs: Tensors, placement: Placement) -> Classes:
        """The best label of each head, in the order of model.toml; the picture's placement does not matter."""
        del placement
        probabilities = np.zeros(self._labels, np.float32)
        best: list[int] = []
        for labels, values in self._answers(outputs):
            probabilities[labels] = values
            best.append(int(labels[values.argmax()]))
        class_ids = np.array(best, np.int64)
        scores = probabilities[class_ids]
        return Classes(np.where(scores >= self._score, class_ids, UNSURE), scores, probabilities)

    def _answers(self, outputs: Tensors) -> list[tuple[Ids, Floats]]:
        """For each head which labels it chooses from, and the probability of each."""
        if not self._heads:
            values = only_output(outputs, "classes", *_shapes(self._labels)).reshape(-1)
            return [(np.arange(self._labels), self._probabilities("the scores", values))]
        return [(labels, self._answer(outputs, name, labels)) for name, labels in self._heads.items()]

    def _answer(self, outputs: Tensors, name: str, labels: Ids) -> Floats:
        if name not in outputs:
            raise ArtifactError(
                f"output.head of model.toml expects an output {name!r}, the model gives {', '.join(outputs)}; "
                "choose one of these"
            )
        values = only_output({name: outputs[name]}, "classes", *_shapes(len(labels)))
        return self._probabilities(f"output {name!r}", values.reshape(-1))

    def _probabilities(self, name: str, values: Floats) -> Floats:
        check_scores(name, values, self._kind)
        if self._kind == "logits":
            return softmax(values)
        total = float(values.sum())
        if abs(total - 1) > _SUM:
            raise ArtifactError(
                f"{name} should sum to 1 where 'scores' is 'probabilities', got {total:.4g}; "
                "say scores = 'logits' in model.toml if the network ends before its softmax"
            )
        return values.clip(0.0, 1.0)


def _shapes(labels: int) -> tuple[Shape, Shape]:
    return (1, labels), (1, labels, 1, 1)
