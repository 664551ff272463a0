"""From a picture to the tensor that the network takes: which size to ask a source for, and where it then lies.

Colour order, mean, standard deviation, layout and the cast from uint8 are folded into the artifact; what is left for
the host is one resize, done by whoever decodes the picture, and the padding of a letterbox.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.model_spec import InputSpec
from runtime.results import Array, Picture


@dataclass(frozen=True)
class Placement:
    """Where the picture lies in the network's input, in its pixels.

    Args:
        left: columns of padding before the picture.
        top: rows of padding above it.
        width: columns that the picture takes.
        height: rows that it takes.
        input_width: columns of the whole input.
        input_height: rows of the whole input.
        source_aspect: width over height of the picture before it was stretched; None where it was not.
    """

    left: int
    top: int
    width: int
    height: int
    input_width: int
    input_height: int
    source_aspect: float | None = None

    @property
    def aspect(self) -> float:
        """Width over height of the picture as the camera sees it."""
        return self.source_aspect or self.width / self.height

    def to_picture(self, boxes: Array) -> NDArray[np.float32]:
        """Boxes ``(n, 4)`` from pixels of the input to 0 to 1 of the picture, clipped to it."""
        offset = np.array([self.left, self.top, self.left, self.top], np.float32)
        size = np.array([self.width, self.height, self.width, self.height], np.float32)
        scaled: NDArray[np.float32] = (boxes.astype(np.float32) - offset) / size
        return scaled.clip(0.0, 1.0)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """What the whole input covers, in 0 to 1 of the picture (beyond it where padded)."""
        return (
            -self.left / self.width,
            -self.top / self.height,
            (self.input_width - self.left) / self.width,
            (self.input_height - self.top) / self.height,
        )


def place(spec: InputSpec, source_width: int, source_height: int) -> Placement:
    """Where a source's picture lies in the input, and so which size to ask the source for.

    Args:
        spec: the model's input.
        source_width: pixels of the source's picture, at least 1.
        source_height: pixels of the source's picture, at least 1.

    Returns:
        Its ``width`` and ``height`` are the size that the picture has to arrive with.
    """
    if spec.resize == "stretch":
        return Placement(0, 0, spec.width, spec.height, spec.width, spec.height, source_width / source_height)
    scale = min(spec.width / source_width, spec.height / source_height)
    width = min(spec.width, max(1, round(source_width * scale)))
    height = min(spec.height, max(1, round(source_height * scale)))
    centred = spec.resize == "letterbox"
    left = (spec.width - width) // 2 if centred else 0
    top = (spec.height - height) // 2 if centred else 0
    return Placement(left, top, width, height, spec.width, spec.height)


class Preparer:
    """Puts pictures of the asked-for size into the network's input, reusing one buffer for the padded ones.

    Not for use by two threads at once: a lane has its own.

    Args:
        spec: the model's input.
    """

    def __init__(self, spec: InputSpec) -> None:
        self._spec = spec
        self._buffer: NDArray[np.uint8] = np.full((1, spec.height, spec.width, 3), spec.pad_value, np.uint8)
        self._placement: Placement | None = None

    def prepare(self, picture: Picture, placement: Placement) -> NDArray[np.uint8]:
        """The input tensor, uint8 ``(1, height, width, 3)`` BGR; valid until the next call.

        Raises:
            ValueError: the picture has not the size that the placement asks for.
        """
        wanted = (placement.height, placement.width, 3)
        if picture.shape != wanted:
            raise ValueError(f"picture should have shape {wanted} as asked for, got {picture.shape}")
        if wanted == self._buffer.shape[1:] and picture.flags.c_contiguous:
            return picture[np.newaxis]
        if placement != self._placement:
            self._buffer[:] = self._spec.pad_value
            self._placement = placement
        bottom, right = placement.top + placement.height, placement.left + placement.width
        self._buffer[0, placement.top : bottom, placement.left : right] = picture
        return self._buffer
