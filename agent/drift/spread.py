"""How what the model answers is spread over a few bins, and how far two spreads are apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contracts.model_spec import DensityOutput, ModelSpec
from runtime.results import DensityMap, Detections, Result

Spread = npt.NDArray[np.int64]
"""Numbers of answers in each bin."""

Shares = npt.NDArray[np.float64]
"""The same as shares of all answers."""

_PRESENT = 0.5  # things; a frame with fewer is empty
_SMOOTHED = 0.5  # added to each bin: an empty one is rare, not impossible


@dataclass(frozen=True)
class Bins:
    """Where the bins lie.

    Args:
        inner: rising borders between them; the outermost are open.
        centres: what stands for each, one more than there are borders.
    """

    inner: tuple[float, ...]
    centres: tuple[float, ...]

    @property
    def empty(self) -> Spread:
        """No answers."""
        return np.zeros(len(self.centres), np.int64)

    def of(self, values: npt.NDArray[np.float32]) -> Spread:
        """Where these values lie."""
        return np.bincount(np.searchsorted(self.inner, values, side="right"), minlength=len(self.centres))

    def mean(self, spread: Spread | Shares) -> float | None:
        """Of what is spread, to the width of a bin; None of nothing."""
        return float(np.average(self.centres, weights=spread)) if spread.sum() else None


SCORES = Bins(tuple(n / 10 for n in range(1, 10)), tuple((n + 0.5) / 10 for n in range(10)))
"""Detections by their score."""

PEAKS = Bins(tuple(2.0**n for n in range(-8, 3)), tuple(2.0 ** (n - 0.5) for n in range(-8, 4)))
"""Frames of a density model by their map's highest value: how sure it is of the thing that it is surest of."""


def bins_of(model: ModelSpec) -> Bins:
    """The bins of what a model answers."""
    return PEAKS if isinstance(model.output, DensityOutput) else SCORES


def is_empty(count: float) -> bool:
    """Whether nothing is in the picture."""
    return count < _PRESENT


def spread_of(result: Result, count: float, bins: Bins) -> Spread:
    """What one frame adds: its detections, or its map's peak where something is in the picture."""
    if isinstance(result, Detections):
        return bins.of(result.scores)
    if isinstance(result, DensityMap) and not is_empty(count):
        return bins.of(result.values.max(keepdims=True).ravel())
    return bins.empty


def stability_index(usual: Shares, now: Spread) -> float:
    """The population stability index: 0 for the same spread, above 0.25 commonly called a shift.

    Args:
        usual: shares that sum to 1.
        now: of the same bins.
    """
    answers = now.sum() + _SMOOTHED * len(now)
    expected = (usual * now.sum() + _SMOOTHED) / answers
    found = (now + _SMOOTHED) / answers
    return float(((found - expected) * np.log(found / expected)).sum())
