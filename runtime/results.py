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
class Detections:
    """Things found in one picture, best first.

    Args:
        boxes: float32 ``(n, 4)``: x1, y1, x2, y2 in 0 to 1 of the picture, clipped to it.
        scores: float32 ``(n,)`` in 0 to 1.
        class_ids: int64 ``(n,)``, indices into the model's labels.

    Raises:
        ValueError: a shape differs.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int64]

    def __post_init__(self) -> None:
        n = len(self.scores)
        for name, shape in (("boxes", (n, 4)), ("scores", (n,)), ("class_ids", (n,))):
            came = getattr(self, name).shape
            if came != shape:
                raise ValueError(f"{name} should have shape {shape}, got {came}")

    def __len__(self) -> int:
        return len(self.scores)

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


Result = Detections | DensityMap
