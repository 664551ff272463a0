"""DETR (Carion et al. 2020) and its kin, RT-DETR among them: a fixed number of queries, each one thing or none.

Logits ``(1, q, labels + 1)`` go through a softmax whose last label is "no object" (DETR), or ``(1, q, labels)`` through
a sigmoid (Deformable DETR, RT-DETR). A query is one thing with its best label: RT-DETR's own top-k may name it twice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contracts.errors import ArtifactError
from contracts.model_spec import ModelSpec
from contracts.output_spec import DetrOutput
from runtime.decoders.boxes import BoxDecoding, Floats, Ids, corners
from runtime.decoders.outputs import Shape, named_outputs
from runtime.decoders.scores import check_scores, limit, sigmoid, softmax
from runtime.prepare import Placement
from runtime.results import Detections, Tensors

_SUM = 0.02  # off which a sum of probabilities may be, rounded


class DetrDecoder:
    """Reads logits and boxes ``(1, q, 4)``: centre x, y, width, height in 0 to 1 of the input.

    Args:
        spec: the model.
        score: instead of the model's own threshold.
    """

    def __init__(self, spec: ModelSpec, score: float | None = None) -> None:
        assert isinstance(spec.output, DetrOutput)
        self._score = score or spec.output.score
        self._softmax = spec.output.activation == "softmax"
        columns = len(spec.labels) + (1 if self._softmax else 0)
        self._shapes: dict[str, tuple[Shape]] = {"logits": ((1, None, columns),), "boxes": ((1, None, 4),)}
        self._names = spec.output.names
        self._boxes = BoxDecoding("detr", spec.labels, spec.input, "share", None)

    def decode(self, outputs: Tensors, placement: Placement) -> Detections:
        """The things above the threshold, best first."""
        found = named_outputs(outputs, "detr", self._shapes, self._names)
        logits, raw = found["logits"][0], found["boxes"][0]
        if len(logits) != len(raw):
            raise ArtifactError(
                f"decoder 'detr' expects as many boxes as rows of logits, got {len(raw)} and {len(logits)}; "
                "check output.names in model.toml"
            )
        queries, scores, class_ids = self._things(logits)
        return self._boxes.detections(corners(raw[queries]), scores, class_ids, placement)

    def _things(self, logits: Floats) -> tuple[NDArray[np.intp], Floats, Ids]:
        """Which queries are things, with their scores and labels."""
        if self._softmax:
            _check_no_softmax(logits)
            values, least = softmax(logits)[:, :-1], self._score
        else:
            check_scores("logits", logits, "logits")
            values, least = logits, limit(self._score, "logits")
        best = values.max(axis=1)
        queries = np.flatnonzero(best >= least)
        scores = best[queries] if self._softmax else sigmoid(best[queries])
        return queries, scores, values[queries].argmax(axis=1).astype(np.int64)


def _check_no_softmax(logits: Floats) -> None:
    """Refuse probabilities, of which a second softmax would make nearly equal ones: nothing would be found.

    Raises:
        ArtifactError: no value is below 0 and each row sums to 1.
    """
    sums = logits.sum(axis=1, dtype=np.float64)
    if len(logits) and float(logits.min()) >= 0 and bool((np.abs(sums - 1) < _SUM).all()):
        raise ArtifactError(
            "decoder 'detr' expects logits, got rows of probabilities that sum to 1; export the model without its "
            "last softmax"
        )
