"""What a decoder makes of a network's raw outputs; all coordinates are in 0 to 1 of the picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Tensors = Mapping[str, Array]
"""Named tensors; those that a lane returns are valid until its next call."""

Picture = NDArray[np.uint8]
"""uint8 ``(height, width, 3)``, BGR."""


@dataclass(frozen=True)
class Masks:
    """Which part of its box each instance fills; `runtime.masks.pasted` lays them over a picture.

    Args:
        values: float32 ``(n, h, w)`` in 0 to 1, each over its whole box.
        boxes: float32 ``(n, 4)``: x1, y1, x2, y2 in 0 to 1 of the picture, not clipped to it: a mask goes on beyond
            the picture's edge.

    Raises:
        ValueError: a shape differs.
    """

    values: NDArray[np.float32]
    boxes: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or self.boxes.shape != (len(self.values), 4):  # noqa: PLR2004 - n, h, w
            raise ValueError(
                f"values and boxes should have shapes (n, h, w) and (n, 4), got {self.values.shape} and "
                f"{self.boxes.shape}"
            )

    def __len__(self) -> int:
        return len(self.values)

    def chosen(self, which: NDArray[np.intp]) -> Masks:
        """Some of them, by their indices."""
        return Masks(self.values[which], self.boxes[which])


@dataclass(frozen=True)
class Detections:
    """Things found in one picture, best first.

    Args:
        boxes: float32 ``(n, 4)``: x1, y1, x2, y2 in 0 to 1 of the picture, clipped to it.
        scores: float32 ``(n,)`` in 0 to 1.
        class_ids: int64 ``(n,)``, indices into the model's labels.
        landmarks: float32 ``(n, k, 2)``: x, y of each thing's points in 0 to 1 of the picture, which they may lie
            beyond; None where the model gives none.
        masks: of each thing; None where the model gives none.

    Raises:
        ValueError: a shape differs.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    landmarks: NDArray[np.float32] | None = None
    masks: Masks | None = None

    def __post_init__(self) -> None:
        n = len(self.scores)
        for name, shape in (("boxes", (n, 4)), ("scores", (n,)), ("class_ids", (n,))):
            came = getattr(self, name).shape
            if came != shape:
                raise ValueError(f"{name} should have shape {shape}, got {came}")
        if self.landmarks is not None and (self.landmarks.ndim, *self.landmarks.shape[::2]) != (3, n, 2):
            raise ValueError(f"landmarks should have shape ({n}, k, 2), got {self.landmarks.shape}")
        if self.masks is not None and len(self.masks) != n:
            raise ValueError(f"masks should be {n}, got {len(self.masks)}")

    def __len__(self) -> int:
        return len(self.scores)

    def chosen(self, which: NDArray[np.intp]) -> Detections:
        """Some of them, by their indices, with all that belongs to them."""
        return Detections(
            self.boxes[which],
            self.scores[which],
            self.class_ids[which],
            None if self.landmarks is None else self.landmarks[which],
            None if self.masks is None else self.masks.chosen(which),
        )

    @classmethod
    def none(cls) -> Detections:
        """An empty picture: looked at, nothing found."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))


@dataclass(frozen=True)
class DensityMap:
    """How many things stand where.

    Args:
        values: float32 ``(h, w)``, not negative; the sum over the picture is the count.
        extent: x1, y1, x2, y2: what the map covers, in 0 to 1 of the picture. It reaches beyond where the picture was
            letterboxed.
    """

    values: NDArray[np.float32]
    extent: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Landmarks:
    """Points of one thing: one for each of the model's labels.

    Args:
        points: float32 ``(k, 2)``: x, y in 0 to 1 of the picture, which they may lie beyond.
        scores: float32 ``(k,)``: how sure the network is of each; None where it does not say.
        visible: bool ``(k,)``: whether that is enough; all where it does not say.

    Raises:
        ValueError: a shape differs.
    """

    points: NDArray[np.float32]
    scores: NDArray[np.float32] | None
    visible: NDArray[np.bool_]

    def __post_init__(self) -> None:
        k = len(self.points)
        scored = self.scores is None or self.scores.shape == (k,)
        if self.points.shape != (k, 2) or self.visible.shape != (k,) or not scored:
            raise ValueError(f"points, scores and visible should have shapes (k, 2), (k,) and (k,), got k = {k}")


UNSURE = -1
"""Stands for a label where no label is sure enough."""


@dataclass(frozen=True)
class Classes:
    """What a classifier says of one picture.

    Args:
        class_ids: int64 ``(heads,)``: the best label of each question, an index into the model's labels, or `UNSURE`.
        scores: float32 ``(heads,)`` in 0 to 1: the probability of that label, or of the best where it is unsure.
        probabilities: float32 ``(labels,)`` in 0 to 1; those of one question sum to 1.

    Raises:
        ValueError: a shape differs.
    """

    class_ids: NDArray[np.int64]
    scores: NDArray[np.float32]
    probabilities: NDArray[np.float32]

    def __post_init__(self) -> None:
        heads = len(self.scores)
        if self.class_ids.shape != (heads,) or self.scores.shape != (heads,) or self.probabilities.ndim != 1:
            raise ValueError(
                f"class_ids, scores and probabilities should have shapes ({heads},), ({heads},) and (labels,), got "
                f"{self.class_ids.shape}, {self.scores.shape} and {self.probabilities.shape}"
            )


Result = Detections | DensityMap | Landmarks | Classes
