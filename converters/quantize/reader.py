"""Calibration pictures as quantisers want them, one at a time from the disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MOST = 300  # NNCF's default; more pictures move the ranges little and cost time


def calibration_frames(file: Path, most: int = MOST) -> Iterator[NDArray[np.uint8]]:
    """The pictures, uint8 ``(1, height, width, 3)``, evenly chosen where there are more.

    Args:
        file: .npy of uint8 ``(n, height, width, 3)``.
        most: how many at most.
    """
    tensors = np.load(file, mmap_mode="r", allow_pickle=False)
    for index in np.linspace(0, len(tensors) - 1, min(most, len(tensors))).round().astype(int):
        yield np.ascontiguousarray(tensors[index])[np.newaxis]
