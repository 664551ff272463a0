"""Face detectors: UltraFace and YuNet.

UltraFace (Linzaer, "Ultra-Light-Fast-Generic-Face-Detector-1MB"): SSD's priors and variances.
YuNet (Wu et al. 2023, "YuNet: A Tiny Millisecond-level Face Detector"): no priors; decoded as OpenCV's FaceDetectorYN
does: ``xy = (offset + cell) * stride``, ``wh = exp(log_size) * stride``, ``score = sqrt(cls * obj)``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts.errors import ArtifactError
from contracts.model_spec import InputSpec, ModelSpec
from contracts.output_spec import FacesOutput
from runtime.decoders.boxes import BoxDecoding, Floats, corners, points_in_picture
from runtime.decoders.grids import check_divides, grid, grids
from runtime.decoders.outputs import Shape, named_outputs
from runtime.decoders.scores import check_scores, probabilities
from runtime.prepare import Placement
from runtime.results import Detections, Tensors

_PRIOR_SIDES = {8: (10, 16, 24), 16: (32, 48), 32: (64, 96), 64: (128, 192, 256)}  # stride to pixels, UltraFace's own
_CENTRE_VARIANCE, _SIZE_VARIANCE = 0.1, 0.2  # UltraFace's, of Liu et al. 2016, "SSD"
_YUNET_STRIDES = (8, 16, 32)
_YUNET_COLUMNS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
_LARGEST = np.float32(20)  # exp(20) is beyond any picture
_IN_ORDER = 0.75  # the share of all boxes above which they are corners
_NEAR = 1e4  # cells; offsets beyond lie outside any picture


class _Faces(NamedTuple):
    """Candidates: boxes ``(m, 4)`` x1, y1, x2, y2, scores ``(m,)``, landmarks ``(m, 5, 2)`` in 0 to 1 or None."""

    boxes: Floats
    scores: Floats
    landmarks: Floats | None


class FacesDecoder:
    """Reads the outputs of the layout that the model declares.

    Args:
        spec: the model; it has one label.
        score: instead of the model's own threshold.

    Raises:
        ModelFileError: YuNet's strides do not divide the input's size.
    """

    def __init__(self, spec: ModelSpec, score: float | None = None) -> None:
        output = spec.output
        assert isinstance(output, FacesOutput)
        least = score or output.score
        yunet = output.layout == "yunet"
        priors = _priors(spec.input) if output.layout == "ultraface-priors" else None
        self._head = _YuNet(spec.input, least) if yunet else _UltraFace(least, priors)
        self._boxes = BoxDecoding("faces", spec.labels, spec.input, "pixels" if yunet else "share", output.nms)

    def decode(self, outputs: Tensors, placement: Placement) -> Detections:
        """The faces above the threshold after suppression, best first; of YuNet with their landmarks.

        These are, as the person sees it: right eye, left eye, nose, right and left corner of the mouth.
        """
        boxes, scores, landmarks = self._head.faces(outputs)
        chosen, pixels = self._boxes.chosen(boxes, scores, np.zeros(len(scores), np.int64))
        points = None if landmarks is None else points_in_picture(landmarks[chosen], placement)
        return Detections(placement.to_picture(pixels), scores[chosen], np.zeros(len(chosen), np.int64), points)


class _UltraFace:
    """Scores ``(1, n, 2)``: no face, face; boxes ``(1, n, 4)`` in 0 to 1, corners or offsets from priors."""

    def __init__(self, score: float, priors: Floats | None) -> None:
        self._score = score
        self._priors = priors
        n = None if priors is None else len(priors)
        self._shapes: dict[str, tuple[Shape]] = {"scores": ((1, n, 2),), "boxes": ((1, n, 4),)}

    def faces(self, outputs: Tensors) -> _Faces:
        found = named_outputs(outputs, "faces", self._shapes)
        scores, boxes = found["scores"][0], found["boxes"][0]
        if len(scores) != len(boxes):
            raise ArtifactError(
                f"decoder 'faces' expects as many boxes as scores, got {len(boxes)} and {len(scores)}; "
                "check the layout in model.toml"
            )
        check_scores("scores", scores, "probabilities")
        self._check_layout(boxes)
        kept = np.flatnonzero(scores[:, 1] >= self._score)
        raw = boxes[kept]
        if self._priors is not None:
            raw = _from_priors(raw, self._priors[kept])
        return _Faces(raw, probabilities(scores[kept, 1], "probabilities"), None)

    def _check_layout(self, boxes: Floats) -> None:
        """Refuse offsets given for corners, and corners for offsets.

        Corners are in order and near the picture; of the offsets of one model on 12 pictures 6 to 9 % were in order.
        """
        corners_given = len(boxes) and float((boxes[:, 2:] >= boxes[:, :2]).all(axis=1).mean()) > _IN_ORDER
        if self._priors is None and len(boxes) and not corners_given:
            raise ArtifactError(
                "layout 'ultraface' expects corners x1, y1, x2, y2, got mostly boxes that are inside out; "
                "say layout = 'ultraface-priors' in model.toml if the network gives offsets from its priors"
            )
        if self._priors is not None and corners_given:
            raise ArtifactError(
                "layout 'ultraface-priors' expects offsets from the priors, got corners x1, y1, x2, y2; "
                "say layout = 'ultraface' in model.toml if the network decodes its boxes"
            )


class _YuNet:
    """For each stride cls and obj ``(1, cells, 1)``, bbox ``(1, cells, 4)`` and kps ``(1, cells, 10)``."""

    def __init__(self, spec: InputSpec, score: float) -> None:
        check_divides(spec, _YUNET_STRIDES, "yunet")
        self._score = score
        self._size = np.array([spec.width, spec.height], np.float32)
        self._grid, self._stride = grids(spec, _YUNET_STRIDES)
        self._shapes: dict[str, tuple[Shape]] = {
            f"{part}_{stride}": ((1, len(grid(spec, stride)), columns),)
            for part, columns in _YUNET_COLUMNS.items()
            for stride in _YUNET_STRIDES
        }

    def faces(self, outputs: Tensors) -> _Faces:
        found = named_outputs(outputs, "faces", self._shapes)
        parts = {
            part: np.concatenate([found[f"{part}_{stride}"][0] for stride in _YUNET_STRIDES]) for part in _YUNET_COLUMNS
        }
        for part in ("cls", "obj"):
            check_scores(part, parts[part], "probabilities")
        scores = np.sqrt(
            probabilities(parts["cls"][:, 0], "probabilities") * probabilities(parts["obj"][:, 0], "probabilities")
        )
        kept = np.flatnonzero(scores >= self._score)
        points = (parts["kps"][kept].reshape(-1, 5, 2).clip(-_NEAR, _NEAR) + self._grid[kept, None]) * self._stride[
            kept, None
        ]
        return _Faces(self._corners(parts["bbox"][kept], kept), scores[kept], points / self._size)

    def _corners(self, raw: Floats, cells: NDArray[np.intp]) -> Floats:
        """x1, y1, x2, y2 in pixels of the input."""
        centre = (raw[:, :2].clip(-_NEAR, _NEAR) + self._grid[cells]) * self._stride[cells]
        size = np.exp(np.minimum(raw[:, 2:], _LARGEST)) * self._stride[cells]
        return corners(np.concatenate([centre, size], axis=1))


def _priors(spec: InputSpec) -> Floats:
    """UltraFace's ``(n, 4)``: centre x, y, width, height in 0 to 1, by stride, cell and side."""
    size = np.array([spec.width, spec.height], np.float32)
    parts = []
    for stride, sides in _PRIOR_SIDES.items():
        centres = np.repeat((grid(spec, stride) + np.float32(0.5)) * stride / size, len(sides), axis=0)
        extents = np.tile(np.array(sides, np.float32)[:, None] / size, (len(centres) // len(sides), 1))
        parts.append(np.concatenate([centres, extents], axis=1))
    return np.concatenate(parts).clip(0.0, 1.0)


def _from_priors(offsets: Floats, priors: Floats) -> Floats:
    """Corners in 0 to 1."""
    centre = offsets[:, :2].clip(-_NEAR, _NEAR) * _CENTRE_VARIANCE * priors[:, 2:] + priors[:, :2]
    size = np.exp(np.minimum(offsets[:, 2:] * _SIZE_VARIANCE, _LARGEST)) * priors[:, 2:]
    return corners(np.concatenate([centre, size], axis=1))
