"""YOLOX heads (Ge et al. 2021, "YOLOX: Exceeding YOLO Series in 2021"), exported without decoding.

``xy = (offset + grid) * stride``, ``wh = exp(log_size) * stride``, ``score = objectness * class``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contracts.model_spec import ModelSpec
from contracts.output_spec import YoloxOutput
from runtime.decoders.boxes import BoxDecoding, Floats, corners
from runtime.decoders.grids import check_divides, grids
from runtime.decoders.outputs import only_output
from runtime.decoders.scores import check_scores, probabilities
from runtime.prepare import Placement
from runtime.results import Detections, Tensors

_LARGEST = np.float32(20)  # exp(20) strides are beyond any picture


class YoloxDecoder:
    """Reads one output ``(1, n, 5 + labels)``, n being the cells of all strides' grids.

    Args:
        spec: the model.
        score: instead of the model's own threshold.

    Raises:
        ModelFileError: the strides do not divide the input's size.
    """

    def __init__(self, spec: ModelSpec, score: float | None = None) -> None:
        assert isinstance(spec.output, YoloxOutput)
        check_divides(spec.input, spec.output.strides, "yolox")
        self._score = score or spec.output.score
        self._columns = 5 + len(spec.labels)
        self._grid, self._stride = grids(spec.input, spec.output.strides)
        self._boxes = BoxDecoding("yolox", spec.labels, spec.input, "pixels", spec.output.nms)

    def decode(self, outputs: Tensors, placement: Placement) -> Detections:
        """The boxes above the threshold after suppression, best first."""
        rows = only_output(outputs, "yolox", (1, len(self._grid), self._columns))[0]
        check_scores("objectness", rows[:, 4], "probabilities")
        # Objectness alone bounds the score (a class is at most 1): most cells end here.
        cells = np.flatnonzero(rows[:, 4] >= self._score)
        classes = rows[cells, 5:]
        check_scores("classes", classes, "probabilities")
        class_ids = classes.argmax(axis=1).astype(np.int64)
        best = classes[np.arange(len(cells)), class_ids]
        scores = probabilities(rows[cells, 4] * best, "probabilities")
        kept = np.flatnonzero(scores >= self._score)
        boxes = self._corners(rows[cells[kept], :4], cells[kept])
        return self._boxes.detections(boxes, scores[kept], class_ids[kept], placement)

    def _corners(self, raw: Floats, cells: NDArray[np.intp]) -> Floats:
        """x1, y1, x2, y2 in pixels of the input."""
        stride = self._stride[cells]
        centre = (raw[:, :2].clip(-1e4, 1e4) + self._grid[cells]) * stride
        size = np.exp(np.minimum(raw[:, 2:], _LARGEST)) * stride
        return corners(np.concatenate([centre, size], axis=1))
