"""How far counts are from the truth, with intervals that say how much a figure from few pictures can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.float64]
RESAMPLES = 10_000
LEVEL = 0.95


@dataclass(frozen=True)
class Errors:
    """Count errors over some pictures, all in vehicles a picture.

    Args:
        pictures: how many.
        mean_true: mean of the true counts.
        mae: mean absolute error.
        mae_low: lower end of its 95 % bootstrap interval, pictures resampled.
        mae_high: upper end.
        rmse: root of the mean squared error.
        bias: mean signed error; positive counts too many.
    """

    pictures: int
    mean_true: float
    mae: float
    mae_low: float
    mae_high: float
    rmse: float
    bias: float

    def as_json(self) -> dict[str, Any]:
        """Plain values, rounded to what the data can bear."""
        return {key: round(value, 3) for key, value in asdict(self).items()}


def errors(truth: Counts, counted: Counts) -> Errors:
    """Compares counts with the truth, both ``(n,)``.

    Raises:
        ValueError: there are none, or not as many of one as of the other.
    """
    if truth.shape != counted.shape or not truth.size:
        raise ValueError(f"expected as many counts as truths and at least one, got {counted.shape} and {truth.shape}")
    difference = counted - truth
    low, high = bootstrap(np.abs(difference))
    return Errors(
        pictures=len(truth),
        mean_true=float(truth.mean()),
        mae=float(np.abs(difference).mean()),
        mae_low=low,
        mae_high=high,
        rmse=float(np.sqrt((difference**2).mean())),
        bias=float(difference.mean()),
    )


def bootstrap(values: Counts) -> tuple[float, float]:
    """A 95 % interval of the mean of ``(n,)`` values, seeded so that a table repeats to the digit."""
    rng = np.random.default_rng(0)
    means = values[rng.integers(0, len(values), (RESAMPLES, len(values)))].mean(axis=1)
    tail = (1 - LEVEL) / 2
    return float(np.quantile(means, tail)), float(np.quantile(means, 1 - tail))


def per_clip(clips: Sequence[int], truth: Counts, counted: Mapping[str, Counts]) -> list[dict[str, Any]]:
    """One row per clip: pictures, true mean, and each method's mean absolute error and bias."""
    rows = []
    for clip in sorted(set(clips)):
        of = np.array([c == clip for c in clips])
        methods = {name: errors(truth[of], values[of]).as_json() for name, values in counted.items()}
        rows.append(
            {
                "clip": clip,
                "pictures": int(of.sum()),
                "mean_true": round(float(truth[of].mean()), 3),
                "methods": methods,
            }
        )
    return rows


def advantage(truth: Counts, ours: Counts, theirs: Counts) -> dict[str, float]:
    """How much smaller our absolute error is than theirs on the same pictures, with its paired interval."""
    gain = np.abs(theirs - truth) - np.abs(ours - truth)
    low, high = bootstrap(gain)
    return {"mean": round(float(gain.mean()), 3), "low": round(low, 3), "high": round(high, 3)}
