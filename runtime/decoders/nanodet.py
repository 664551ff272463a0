"""NanoDet heads (generalised focal loss; Li et al. 2020, "Generalized Focal Loss").

Each cell gives its classes and, for each side of the box, a distribution over ``bins`` distances in strides, of which
the mean counts. The layouts are those of NanoDet's ONNX export (``_forward_onnx``: one output, sigmoid applied) and of
its older exports for OpenVINO and ncnn (``cls_pred_stride_8``, ``dis_pred_stride_8``, …).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from contracts.model_spec import InputSpec, ModelSpec
from contracts.output_spec import NanodetOutput
from runtime.decoders.boxes import BoxDecoding, Floats
from runtime.decoders.grids import grid, grids
from runtime.decoders.outputs import Shape, named_outputs, only_output
from runtime.decoders.scores import check_scores, limit, probabilities, softmax
from runtime.prepare import Placement
from runtime.results import Detections, Tensors


class NanodetDecoder:
    """Reads one output ``(1, n, labels + 4 x bins)``, or two for each stride.

    The two are classes and distances as ``(1, cells, columns)`` or as maps ``(1, columns, h, w)``. Which is which is
    told by the shape or, where both have as many columns, by ``cls`` and ``dis`` in their names.

    Args:
        spec: the model.
        score: instead of the model's own threshold.
    """

    def __init__(self, spec: ModelSpec, score: float | None = None) -> None:
        assert isinstance(spec.output, NanodetOutput)
        output = spec.output
        self._kind, self._limit = output.scores, limit(score or output.score, output.scores)
        self._labels, self._bins = len(spec.labels), output.bins
        corner, self._stride = grids(spec.input, output.strides)
        self._origin = (corner + (0.5 if output.origin == "centre" else 0.0)) * self._stride
        self._classes = _parts(spec.input, output.strides, self._labels)
        self._distances = _parts(spec.input, output.strides, 4 * self._bins)
        self._boxes = BoxDecoding("nanodet", spec.labels, spec.input, "pixels", output.nms)

    def decode(self, outputs: Tensors, placement: Placement) -> Detections:
        """The boxes above the threshold after suppression, best first."""
        classes, distances = self._joined(outputs) if len(outputs) == 1 else self._split(outputs)
        best = classes.max(axis=1)
        check_scores("the best class of each cell", best, self._kind)
        cells = np.flatnonzero(best >= self._limit)
        class_ids = classes[cells].argmax(axis=1).astype(np.int64)
        boxes = self._corners(distances[cells], cells)
        return self._boxes.detections(boxes, probabilities(best[cells], self._kind), class_ids, placement)

    def _joined(self, outputs: Tensors) -> tuple[Floats, Floats]:
        columns = self._labels + 4 * self._bins
        rows = only_output(outputs, "nanodet", (1, len(self._stride), columns))[0]
        return rows[:, : self._labels], rows[:, self._labels :]

    def _split(self, outputs: Tensors) -> tuple[Floats, Floats]:
        same = self._labels == 4 * self._bins  # then only their names tell them apart
        classes = {name: value for name, value in outputs.items() if not same or "cls" in name.lower()}
        distances = {name: value for name, value in outputs.items() if not same or "cls" not in name.lower()}
        return _stacked(classes, self._classes), _stacked(distances, self._distances)

    def _corners(self, raw: Floats, cells: NDArray[np.intp]) -> Floats:
        """x1, y1, x2, y2 in pixels of the input, of ``(m, 4 x bins)``."""
        shares = softmax(raw.reshape(len(cells), 4, self._bins))
        distances = (shares @ np.arange(self._bins, dtype=np.float32)) * self._stride[cells]
        origin = self._origin[cells]
        return np.concatenate([origin - distances[:, :2], origin + distances[:, 2:]], axis=1).astype(np.float32)


def _parts(spec: InputSpec, strides: Sequence[int], columns: int) -> dict[str, tuple[Shape, Shape]]:
    """For each stride what an output with so many columns may look like."""
    return {
        f"stride {stride}": (
            (1, len(grid(spec, stride)), columns),
            (1, columns, -(-spec.height // stride), -(-spec.width // stride)),
        )
        for stride in strides
    }


def _stacked(outputs: Tensors, parts: Mapping[str, tuple[Shape, Shape]]) -> Floats:
    """The outputs of all strides, one cell a row."""
    found = named_outputs(outputs, "nanodet", parts)
    values = [found[part][0] for part in parts]
    return np.concatenate([value.reshape(len(value), -1).T if value.ndim > 2 else value for value in values])  # noqa: PLR2004
