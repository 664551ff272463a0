"""Mask R-CNN (He et al. 2017), as torchvision and the ONNX model zoo export it.

Boxes ``(n, 4)``: x1, y1, x2, y2 in pixels of the input; labels ``(n,)``, of which 0 is the background; scores ``(n,)``;
masks ``(n, 1, h, w)`` as probabilities over each box, mostly 28x28. ``n`` differs from picture to picture and may be 0.
Suppression is done in the network.
"""

from __future__ import annotations

import numpy as np

from contracts.errors import ArtifactError
from contracts.model_spec import ModelSpec
from contracts.output_spec import MaskRcnnNames, MaskRcnnOutput
from runtime.decoders.boxes import BoxDecoding, Floats, points_in_picture, whole_numbers
from runtime.decoders.outputs import Shape, named_outputs
from runtime.decoders.scores import check_scores, probabilities
from runtime.prepare import Placement
from runtime.results import Detections, Masks, Tensors

_SHAPES: dict[str, tuple[Shape]] = {
    "boxes": ((None, 4),),
    "labels": ((None,),),
    "scores": ((None,),),
    "masks": ((None, 1, None, None),),
}
_LARGEST = 112  # rows and columns; beyond, these are masks over the whole input, tens of megabytes a picture


class MaskRcnnDecoder:
    """Reads four outputs; labels and scores are told by their names or, where these do not, by their types.

    Labels below ``first_label`` are background and dropped; one above the model's last is an error.

    Args:
        spec: the model.
        score: instead of the model's own threshold.
    """

    def __init__(self, spec: ModelSpec, score: float | None = None) -> None:
        assert isinstance(spec.output, MaskRcnnOutput)
        self._score = score or spec.output.score
        self._first = spec.output.first_label
        self._names = spec.output.names
        self._size = np.array([spec.input.width, spec.input.height], np.float32)
        self._boxes = BoxDecoding("mask-rcnn", spec.labels, spec.input, "pixels", None)

    def decode(self, outputs: Tensors, placement: Placement) -> Detections:
        """The instances above the threshold, best first, with their masks."""
        found = named_outputs(outputs, "mask-rcnn", _SHAPES, self._named(outputs))
        _check_sizes(found)
        check_scores("scores", found["scores"], "probabilities")
        class_ids = whole_numbers("labels", found["labels"]) - self._first
        kept = np.flatnonzero((found["scores"] >= self._score) & (class_ids >= 0))
        scores = probabilities(found["scores"][kept], "probabilities")
        chosen, pixels = self._boxes.chosen(found["boxes"][kept], scores, class_ids[kept])
        values = found["masks"][kept[chosen], 0]
        check_scores("masks", values, "probabilities")
        whole = points_in_picture(pixels.reshape(-1, 2, 2) / self._size, placement).reshape(-1, 4)
        return Detections(
            placement.to_picture(pixels),
            scores[chosen],
            class_ids[kept[chosen]],
            masks=Masks(probabilities(values, "probabilities"), whole),
        )

    def _named(self, outputs: Tensors) -> MaskRcnnNames:
        """The names declared and, for labels and scores of unspeaking names, the one that holds whole numbers."""
        whole = [name for name, value in outputs.items() if value.ndim == 1 and value.dtype.kind in "iu"]
        real = [name for name, value in outputs.items() if value.ndim == 1 and value.dtype.kind == "f"]
        if len(whole) != 1 or len(real) != 1:
            return self._names
        return self._names.model_copy(
            update={"labels": self._names.labels or whole[0], "scores": self._names.scores or real[0]}
        )


def _check_sizes(found: dict[str, Floats]) -> None:
    sizes = {role: len(value) for role, value in found.items()}
    if len(set(sizes.values())) != 1:
        came = ", ".join(f"{size} {role}" for role, size in sorted(sizes.items()))
        raise ArtifactError(
            f"decoder 'mask-rcnn' expects as many of each, got {came}; check output.names in model.toml"
        )
    rows, columns = found["masks"].shape[2:]
    if not 0 < max(rows, columns) <= _LARGEST or not min(rows, columns):
        raise ArtifactError(
            f"decoder 'mask-rcnn' expects masks over their boxes, 1x1 to {_LARGEST}x{_LARGEST}, got {rows}x{columns}; "
            "export the model without pasting masks into the picture"
        )
