"""Grids of cells: where in the input each row of a dense head looks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contracts.errors import ModelFileError
from contracts.model_spec import InputSpec

Cells = NDArray[np.float32]


def grid(spec: InputSpec, stride: int) -> Cells:
    """Columns and rows ``(n, 2)`` of a stride's cells, row by row; what the input's edge cuts is a cell too."""
    columns, rows = -(-spec.width // stride), -(-spec.height // stride)
    x, y = np.meshgrid(np.arange(columns), np.arange(rows))
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)


def grids(spec: InputSpec, strides: Sequence[int]) -> tuple[Cells, Cells]:
    """Columns and rows ``(n, 2)`` of all strides' cells one after the other, and the stride ``(n, 1)`` of each."""
    parts = [grid(spec, stride) for stride in strides]
    sizes = [np.full((len(part), 1), stride, np.float32) for part, stride in zip(parts, strides, strict=True)]
    return np.concatenate(parts), np.concatenate(sizes)


def check_divides(spec: InputSpec, strides: Sequence[int], decoder: str) -> None:
    """Refuse an input that the strides cut.

    Raises:
        ModelFileError: a stride does not divide width or height.
    """
    if any(spec.width % stride or spec.height % stride for stride in strides):
        raise ModelFileError(
            f"{decoder} needs a size that its strides {list(strides)} divide, got {spec.width}x{spec.height}; "
            "change input.width and input.height, or output.strides"
        )
