"""How fast something grows: least squares over the second half, with an interval that knows that samples follow on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BLOCKS = 20
"""Memory at one moment is nearly that of the moment before, so not samples but means of runs of them are fitted."""

_T = 2.101  # 97.5 % of Student's t with BLOCKS - 2 degrees of freedom


@dataclass(frozen=True)
class Slope:
    """A slope and its 95 % interval.

    Args:
        slope: change of y for one of x.
        low: end of the interval.
        high: the other.
    """

    slope: float
    low: float
    high: float

    def times(self, factor: float) -> Slope:
        """Change of y for ``factor`` of x."""
        return Slope(self.slope * factor, self.low * factor, self.high * factor)


def second_half_slope(x: Sequence[float], y: Sequence[float]) -> Slope:
    """Fit a line to the second half.

    Args:
        x: rising.
        y: as many.

    Raises:
        ValueError: the second half has fewer samples than blocks are made of it, or x does not rise.
    """
    half = len(x) // 2
    xs, ys = np.asarray(x[half:], np.float64), np.asarray(y[half:], np.float64)
    if len(xs) < BLOCKS:
        raise ValueError(f"expected at least {2 * BLOCKS} samples, got {len(x)}; soak for longer")
    means_x, means_y = (np.array([block.mean() for block in np.array_split(of, BLOCKS)]) for of in (xs, ys))
    spread = means_x - means_x.mean()
    if not spread.any():
        raise ValueError("nothing happened in the second half; soak for longer")
    slope = float(spread @ means_y / (spread @ spread))
    left = means_y - means_y.mean() - slope * spread
    error = _T * float(np.sqrt(left @ left / (BLOCKS - 2) / (spread @ spread)))
    return Slope(slope, slope - error, slope + error)
