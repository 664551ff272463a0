"""The outputs of ``TFLite_Detection_PostProcess``, the operator that ends TensorFlow's SSD models for TFLite.

It gives boxes ``(1, n, 4)`` as y1, x1, y2, x2 in 0 to 1, classes ``(1, n)``, scores ``(1, n)`` and how many rows are
meant ``(1,)``, in this order (tensorflow/lite/kernels/detection_postprocess.cc); exports of TensorFlow 2 shuffle it.
"""

from __future__ import annotations

import numpy as np

from contracts.errors import ArtifactError
from contracts.model_spec import ModelSpec
from contracts.output_spec import SsdNames, SsdTfliteOutput
from runtime.decoders.boxes import BoxDecoding, whole_numbers
from runtime.decoders.outputs import named_outputs
from runtime.decoders.scores import check_scores, probabilities
from runtime.prepare import Placement
from runtime.results import Detections, Tensors

_SHAPES = {
    "boxes": ((1, None, 4),),
    "classes": ((1, None),),
    "scores": ((1, None),),
    "count": ((1,), (1, 1), ()),
}
_X_FIRST = [1, 0, 3, 2]


class SsdTfliteDecoder:
    """Reads four outputs, found by name or shape; classes and scores, where neither tells, by their order.

    Labels below ``first_label`` are background and dropped; one above the model's last is an error.

    Args:
        spec: the model.
        score: instead of the model's own threshold.
    """

    def __init__(self, spec: ModelSpec, score: float | None = None) -> None:
        assert isinstance(spec.output, SsdTfliteOutput)
        self._score = score or spec.output.score
        self._first = spec.output.first_label
        self._names, self._order = spec.output.names, spec.output.order
        self._boxes = BoxDecoding("ssd-tflite", spec.labels, spec.input, "share", None)

    def decode(self, outputs: Tensors, placement: Placement) -> Detections:
        """The boxes above the threshold, best first."""
        found = named_outputs(outputs, "ssd-tflite", _SHAPES, self._named(outputs))
        meant = self._meant(float(found["count"].reshape(-1)[0]), found["scores"].shape[1])
        boxes, classes, scores = (found[role][0] for role in ("boxes", "classes", "scores"))
        if not len(boxes) == len(classes) == len(scores):
            raise ArtifactError(
                f"decoder 'ssd-tflite' expects as many boxes as classes and scores, got {len(boxes)}, {len(classes)} "
                f"and {len(scores)}; check output.order in model.toml"
            )
        check_scores("scores", scores[:meant], "probabilities")
        class_ids = whole_numbers("classes", classes[:meant]) - self._first
        kept = np.flatnonzero((scores[:meant] >= self._score) & (class_ids >= 0))
        best = probabilities(scores[kept], "probabilities")
        return self._boxes.detections(boxes[kept][:, _X_FIRST], best, class_ids[kept], placement)

    def _named(self, outputs: Tensors) -> SsdNames:
        """The names declared; for classes and scores whose names do not tell, those of their places in the order."""
        told = any("scores" in name.lower() for name in outputs)
        if told or self._names.classes or self._names.scores or len(outputs) != len(self._order):
            return self._names
        places = dict(zip(self._order, outputs, strict=True))
        return self._names.model_copy(update={"classes": places["classes"], "scores": places["scores"]})

    @staticmethod
    def _meant(count: float, rows: int) -> int:
        if not 0 <= count <= rows or count != int(count):
            raise ArtifactError(
                f"decoder 'ssd-tflite' expects a count of 0 to {rows}, got {count:.4g}; check output.order and "
                "output.names in model.toml"
            )
        return int(count)
