"""YOLOX heads (Ge et al. 2021, "YOLOX: Exceeding YOLO Series in 2021"), exported without decoding.

``xy = (offset + grid) * stride``, ``wh = exp(log_size) * stride``, ``score = objectness * class``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contracts.errors import ModelFileError
from contracts.model_spec import InputSpec, ModelSpec, YoloxOutput
from runtime.decoders.nms import suppress
from runtime.decoders.outputs import only_output
from runtime.prepare import Placement
from runtime.results import Detections, Tensors


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
        self._score = score or spec.output.score
        self._columns = 5 + len(spec.labels)
        self._nms = spec.output.nms
        self._grid, self._stride = _grids(spec.input, spec.output.strides)
        self._families = _families(spec.labels, spec.output.nms.groups)

    def decode(self, outputs: Tensors, placement: Placement) -> Detections:
        """The boxes above the threshold after suppression, best first."""
        rows = only_output(outputs, "yolox", (1, len(self._grid), self._columns))[0]
        # Objectness alone bounds the score (a class is at most 1): most cells end here.
        cells = np.flatnonzero(rows[:, 4] >= self._score)
        classes = rows[cells, 5:]
        class_ids = classes.argmax(axis=1)
        scores = rows[cells, 4] * classes[np.arange(len(cells)), class_ids]
        kept = np.flatnonzero(scores >= self._score)
        cells, class_ids, scores = cells[kept], class_ids[kept], scores[kept]
        boxes = self._boxes(rows[cells, :4], cells)
        chosen = suppress(boxes, scores, self._families[class_ids], self._nms.iou, self._nms.most)
        return Detections(placement.to_picture(boxes[chosen]), scores[chosen], class_ids[chosen].astype(np.int64))

    def _boxes(self, raw: NDArray[np.float32], cells: NDArray[np.intp]) -> NDArray[np.float32]:
        """x1, y1, x2, y2 in pixels of the input."""
        stride = self._stride[cells]
        centre = (raw[:, :2] + self._grid[cells]) * stride
        half = np.exp(np.minimum(raw[:, 2:], np.float32(20))) * stride / 2  # exp(20) is beyond any picture
        return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)


def _grids(spec: InputSpec, strides: tuple[int, ...]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cell corners ``(n, 2)`` as x, y, and strides ``(n, 1)``, in the order of the output's rows."""
    cells, sizes = [], []
    for stride in strides:
        if spec.width % stride or spec.height % stride:
            raise ModelFileError(
                f"yolox needs a size that its strides {list(strides)} divide, got {spec.width}x{spec.height}; "
                "change input.width and input.height, or output.strides"
            )
        columns, rows = spec.width // stride, spec.height // stride
        x, y = np.meshgrid(np.arange(columns), np.arange(rows))
        cells.append(np.stack([x.ravel(), y.ravel()], axis=1))
        sizes.append(np.full((columns * rows, 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(sizes).astype(np.float32)


def _families(labels: tuple[str, ...], groups: tuple[tuple[str, ...], ...]) -> NDArray[np.int64]:
    """For each label the number of those it competes with: itself alone, or its group."""
    families = np.arange(len(labels), dtype=np.int64)
    for group in groups:
        members = [labels.index(label) for label in group]
        families[members] = members[0]
    return families
