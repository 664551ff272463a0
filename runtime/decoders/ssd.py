"""SSD's ``detection_out``: suppression is done in the network (Caffe's DetectionOutput layer, as in OpenVINO)."""

from __future__ import annotations

import numpy as np

from contracts.model_spec import ModelSpec, SsdOutput
from runtime.decoders.outputs import only_output
from runtime.prepare import Placement
from runtime.results import Detections, Tensors


class SsdDecoder:
    """Reads one output ``(1, 1, n, 7)``: picture, label, score, x1, y1, x2, y2; picture -1 ends the list.

    Args:
        spec: the model.
        score: instead of the model's own threshold.
    """

    def __init__(self, spec: ModelSpec, score: float | None = None) -> None:
        assert isinstance(spec.output, SsdOutput)
        self._score = score or spec.output.score
        self._first = spec.output.first_label
        self._labels = len(spec.labels)
        self._size = np.array([spec.input.width, spec.input.height] * 2, np.float32)

    def decode(self, outputs: Tensors, placement: Placement) -> Detections:
        """The boxes above the threshold, best first."""
        rows = only_output(outputs, "ssd", (1, 1, None, 7))[0, 0]
        ends = np.flatnonzero(rows[:, 0] < 0)
        rows = rows[: ends[0]] if len(ends) else rows
        class_ids = rows[:, 1].astype(np.int64) - self._first
        rows_kept = (rows[:, 2] >= self._score) & (class_ids >= 0) & (class_ids < self._labels)
        order = np.flatnonzero(rows_kept)[np.argsort(-rows[rows_kept, 2], kind="stable")]
        boxes = placement.to_picture(rows[order, 3:7] * self._size)
        return Detections(boxes, rows[order, 2].copy(), class_ids[order])
