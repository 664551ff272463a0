"""How far counts are from the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class CountError:
    """Error of counts over ``n`` pictures, in things a picture.

    Args:
        n: pictures.
        mae: mean absolute error.
        rmse: root of the mean squared error.
        bias: mean of measured minus true; above zero where too many are counted.
        mean_true: mean true count.
    """

    n: int
    mae: float
    rmse: float
    bias: float
    mean_true: float


def count_error(measured: ArrayLike, true: ArrayLike) -> CountError:
    """Compare counts picture by picture.

    Args:
        measured: ``(n,)``.
        true: ``(n,)``.

    Raises:
        ValueError: the lengths differ, or there is no picture.
    """
    counted, truth = np.asarray(measured, np.float64), np.asarray(true, np.float64)
    if counted.shape != truth.shape or counted.ndim != 1 or not len(counted):
        raise ValueError(f"expected two lists of the same length above 0, got {counted.shape} and {truth.shape}")
    off = counted - truth
    return CountError(
        n=len(off),
        mae=float(np.abs(off).mean()),
        rmse=float(np.sqrt((off**2).mean())),
        bias=float(off.mean()),
        mean_true=float(truth.mean()),
    )
