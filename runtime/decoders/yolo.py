"""YOLO heads whose boxes the network itself decodes.

Layouts as documented by their projects: YOLOv5 and YOLOv7 ``(1, n, 5 + labels)`` with objectness; YOLOv8, v9 and v11
``(1, 4 + labels, n)`` without; YOLOv10 and YOLO26 ``(1, n, 6)``, one box a thing. All scores are after the sigmoid
unless model.toml says otherwise; boxes are in pixels of the input, or in 0 to 1 of it in TFLite exports.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from contracts.errors import ArtifactError
from contracts.model_spec import ModelSpec
from contracts.output_spec import YoloOutput
from runtime.decoders.boxes import BoxDecoding, Floats, Ids, corners, whole_numbers
from runtime.decoders.outputs import finite, the_only, written
from runtime.decoders.scores import check_scores, limit, probabilities
from runtime.prepare import Placement
from runtime.results import Array, Detections, Tensors

_END_TO_END = 6  # x1, y1, x2, y2, score, label


class _Candidates(NamedTuple):
    """What is above the threshold: boxes ``(m, 4)``, scores ``(m,)``, class_ids ``(m,)``."""

    boxes: Floats
    scores: Floats
    class_ids: Ids


class YoloDecoder:
    """Reads one output of the layout that the model declares.

    Args:
        spec: the model.
        score: instead of the model's own threshold.
    """

    def __init__(self, spec: ModelSpec, score: float | None = None) -> None:
        assert isinstance(spec.output, YoloOutput)
        output = spec.output
        self._layout = output.layout
        self._labels = len(spec.labels)
        self._score = score or output.score
        self._kind = output.scores
        self._limit = limit(self._score, output.scores)
        nms = None if output.layout == "end-to-end" else output.nms
        self._boxes = BoxDecoding("yolo", spec.labels, spec.input, output.unit, nms)

    def decode(self, outputs: Tensors, placement: Placement) -> Detections:
        """The boxes above the threshold after suppression, best first."""
        name, value = the_only(outputs, "yolo")
        rows = self._rows(name, value)
        if self._layout == "end-to-end":
            found = self._finished(rows)
        elif self._layout == "anchors":
            found = self._with_objectness(rows)
        else:
            found = self._without_objectness(rows)
        return self._boxes.detections(*found, placement)

    def _rows(self, name: str, value: Array) -> Floats:
        """One candidate a row, ``(n, columns)``; where a shape fits both ways, the layout's usual way.

        Raises:
            ArtifactError: the shape is not of this layout.
        """
        columns = {"anchors": 5 + self._labels, "anchor-free": 4 + self._labels, "end-to-end": _END_TO_END}[
            self._layout
        ]
        single = value.ndim == 3 and value.shape[0] == 1  # noqa: PLR2004 - 1, n and columns in one order or the other
        if single and self._layout == "anchor-free" and value.shape[1] == columns:
            value = value.transpose(0, 2, 1)
        if single and value.shape[2] == columns:
            rows: Floats = finite(name, value)[0]
            return rows
        wanted = f"1x?x{columns}" if self._layout != "anchor-free" else f"1x{columns}x? or 1x?x{columns}"
        raise ArtifactError(
            f"layout {self._layout!r} with {self._labels} labels expects output {name!r} as {wanted}, the model gives "
            f"{written(value.shape)}{self._likely(value)}; check layout and labels in model.toml"
        )

    def _likely(self, value: Array) -> str:
        """The layout whose shape it has with these labels, for the error's text."""
        sizes = set(value.shape[1:])
        columns = {"anchors": 5 + self._labels, "anchor-free": 4 + self._labels, "end-to-end": _END_TO_END}
        fitting = [repr(layout) for layout, size in columns.items() if size in sizes and layout != self._layout]
        return f", as layout {' or '.join(fitting)} has it" if fitting and len(sizes) > 1 else ""

    def _with_objectness(self, rows: Floats) -> _Candidates:
        check_scores("objectness", rows[:, 4], self._kind)
        # Objectness alone bounds the score (a class is at most 1): most rows end here.
        cells = np.flatnonzero(rows[:, 4] >= self._limit)
        classes = rows[cells, 5:]
        check_scores("classes", classes, self._kind)
        class_ids = classes.argmax(axis=1)
        best = probabilities(classes[np.arange(len(cells)), class_ids], self._kind)
        scores = probabilities(rows[cells, 4], self._kind) * best
        kept = np.flatnonzero(scores >= self._score)
        return _Candidates(corners(rows[cells[kept], :4]), scores[kept], class_ids[kept].astype(np.int64))

    def _without_objectness(self, rows: Floats) -> _Candidates:
        best = rows[:, 4:].max(axis=1)
        check_scores("the best class of each box", best, self._kind)
        cells = np.flatnonzero(best >= self._limit)
        class_ids = rows[cells, 4:].argmax(axis=1).astype(np.int64)
        return _Candidates(corners(rows[cells, :4]), probabilities(best[cells], self._kind), class_ids)

    def _finished(self, rows: Floats) -> _Candidates:
        check_scores("scores", rows[:, 4], "probabilities")
        kept = np.flatnonzero(rows[:, 4] >= self._score)
        scores = probabilities(rows[kept, 4], "probabilities")
        return _Candidates(rows[kept, :4], scores, whole_numbers("labels", rows[kept, 5]))
