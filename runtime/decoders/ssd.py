"""SSD's ``detection_out``: suppression is done in the network (Caffe's DetectionOutput layer, as in OpenVINO)."""

from __future__ import annotations

import numpy as np

from contracts.model_spec import ModelSpec
from contracts.output_spec import SsdOutput
from runtime.decoders.boxes import BoxDecoding, whole_numbers
from runtime.decoders.outputs import only_output
from runtime.decoders.scores import check_scores, probabilities
from runtime.prepare import Placement
from runtime.results import Detections, Tensors


class SsdDecoder:
    """Reads one output ``(1, 1, n, 7)``: picture, label, score, x1, y1, x2, y2; picture -1 ends the list.

    Labels below ``first_label`` are background and dropped; one above the model's last is an error.

    Args:
        spec: the model.
        score: instead of the model's own threshold.
    """

    def __init__(self, spec: ModelSpec, score: float | None = None) -> None:
        assert isinstance(spec.output, SsdOutput)
        self._score = score or spec.output.score
        self._first = spec.output.first_label
        self._boxes = BoxDecoding("ssd", spec.labels, spec.input, "share", None)

    def decode(self, outputs: Tensors, placement: Placement) -> Detections:
        """The boxes above the threshold, best first."""
        rows = only_output(outputs, "ssd", (1, 1, None, 7))[0, 0]
        ends = np.flatnonzero(rows[:, 0] < 0)
        rows = rows[: ends[0]] if len(ends) else rows
        check_scores("scores", rows[:, 2], "probabilities")
        rows = rows[rows[:, 2] >= self._score]
        class_ids = whole_numbers("labels", rows[:, 1]) - self._first
        rows, class_ids = rows[class_ids >= 0], class_ids[class_ids >= 0]
        scores = probabilities(rows[:, 2], "probabilities")
        return self._boxes.detections(rows[:, 3:7], scores, class_ids, placement)
