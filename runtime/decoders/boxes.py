"""From candidates to detections: what every decoder of boxes does last."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contracts.errors import ArtifactError
from contracts.model_spec import InputSpec
from contracts.output_spec import NmsOptions, Unit
from runtime.decoders.nms import suppress
from runtime.prepare import Placement
from runtime.results import Detections

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]

_FAR = 1e6  # pixels; beyond any picture, and its square is a float32
_POINT = 1.5  # a box within so many pixels of the corner is a share of the input, taken for pixels
_BEYOND = 4.0  # inputs away: no share of the input, however much a box reaches out of it


class BoxDecoding:
    """Suppression, mapping to the picture and the checks of boxes, for one model.

    Args:
        decoder: its name, for the errors' texts.
        labels: the model's.
        spec: the model's input.
        unit: of the boxes: pixels of the input, or 0 to 1 of it.
        nms: None where suppression was done in the network.
    """

    def __init__(
        self, decoder: str, labels: Sequence[str], spec: InputSpec, unit: Unit, nms: NmsOptions | None
    ) -> None:
        self._decoder = decoder
        self._labels = len(labels)
        self._size = np.array([spec.width, spec.height] * 2, np.float32)
        self._unit = unit
        self._nms = nms
        self._families = _families(labels, nms.groups if nms else ())

    def detections(self, boxes: Floats, scores: Floats, class_ids: Ids, placement: Placement) -> Detections:
        """What is left of candidates, best first; boxes turned inside out are dropped.

        Args:
            boxes: ``(m, 4)`` x1, y1, x2, y2.
            scores: ``(m,)``, all above the threshold.
            class_ids: ``(m,)``.
            placement: where the picture lies in the input.

        Raises:
            ArtifactError: a label that the model lacks, boxes of another unit, or none that is not inside out.
        """
        chosen, pixels = self.chosen(boxes, scores, class_ids)
        return Detections(placement.to_picture(pixels), scores[chosen].copy(), class_ids[chosen])

    def chosen(self, boxes: Floats, scores: Floats, class_ids: Ids) -> tuple[NDArray[np.intp], Floats]:
        """Which of the candidates are left, best first, and their boxes ``(m, 4)`` in pixels of the input.

        Raises:
            ArtifactError: see `detections`.
        """
        self._check(boxes, class_ids)
        upright = np.flatnonzero((boxes[:, 2:] >= boxes[:, :2]).all(axis=1))
        if len(boxes) and not len(upright):
            raise ArtifactError(
                f"decoder {self._decoder!r} expects boxes with x2 >= x1 and y2 >= y1, all {len(boxes)} above the "
                "threshold are inside out; check layout and decoder in model.toml"
            )
        pixels = boxes[upright] * self._size if self._unit == "share" else boxes[upright]
        if self._nms is None:
            order = np.argsort(-scores[upright], kind="stable")
        else:
            families = self._families[class_ids[upright]]
            order = suppress(pixels, scores[upright], families, self._nms.iou, self._nms.most)
        return upright[order], pixels[order]

    def _check(self, boxes: Floats, class_ids: Ids) -> None:
        if not len(boxes):
            return
        low, high = int(class_ids.min()), int(class_ids.max())
        if low < 0 or high >= self._labels:
            raise ArtifactError(
                f"the network gives label {low if low < 0 else high}, model.toml lists {self._labels} (0 to "
                f"{self._labels - 1}); list all labels of the network, and check output.first_label where there is one"
            )
        largest = float(np.abs(boxes).max())
        if self._unit == "pixels" and largest <= _POINT:
            raise ArtifactError(
                f"decoder {self._decoder!r} expects boxes in pixels of the input, got none beyond {largest:.3g}; "
                "these look like shares of it: see 'unit' in docs/models.md"
            )
        if self._unit == "share" and largest > _BEYOND:
            raise ArtifactError(
                f"decoder {self._decoder!r} expects boxes in 0 to 1 of the input, got {largest:.4g}; "
                "these look like pixels: see 'unit' in docs/models.md"
            )


def corners(centre_size: Floats) -> Floats:
    """``(m, 4)`` centre x, y, width, height to x1, y1, x2, y2, cut off far beyond any picture."""
    near = centre_size.clip(-_FAR, _FAR)
    half = near[:, 2:] / 2
    return np.concatenate([near[:, :2] - half, near[:, :2] + half], axis=1)


def points_in_picture(shares: Floats, placement: Placement) -> Floats:
    """Points ``(…, 2)`` from 0 to 1 of the input to 0 to 1 of the picture, beyond it where they lie beyond it."""
    left, top, right, bottom = placement.extent
    span = np.array([right - left, bottom - top], np.float32)
    return np.asarray(shares.clip(-_FAR, _FAR) * span + np.array([left, top], np.float32), np.float32)


def whole_numbers(name: str, values: Floats) -> Ids:
    """Labels that came as floats.

    Raises:
        ArtifactError: one is no whole number, so that these are no labels.
    """
    rounded = np.rint(values.clip(-_FAR, _FAR))
    if len(values) and float(np.abs(rounded - values).max()) > 1e-3:  # noqa: PLR2004 - rounding to float16
        raise ArtifactError(
            f"{name} should be whole numbers, got {float(values[np.abs(rounded - values).argmax()]):.4g}; "
            "check decoder, layout and the order of the outputs in model.toml"
        )
    return np.asarray(rounded, np.int64)


def _families(labels: Sequence[str], groups: Sequence[Sequence[str]]) -> Ids:
    """For each label the number of those it competes with: itself alone, or its group."""
    families = np.arange(len(labels), dtype=np.int64)
    for group in groups:
        members = [list(labels).index(label) for label in group]
        families[members] = members[0]
    return families
