"""Simulated fleets: boxes with roads of their own, of which some get another model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fleet.rollout.siblings import BoxCounts

_OUTLIERS = (0.1, 3.0)  # a road that is closed, and the one that its traffic takes instead


@dataclass(frozen=True)
class Roads:
    """How boxes count.

    Args:
        busy: median of the boxes' rates, counts an hour.
        spread: of the boxes' rates, standard deviation of the logarithm.
        restless: how much a box's own traffic changes between before and after, the same.
        outliers: share of the boxes to which something happens that has nothing to do with the model.
    """

    busy: float
    spread: float = 1.0
    restless: float = 0.15
    outliers: float = 0.0


@dataclass(frozen=True)
class Trial:
    """What is tried.

    Args:
        roads: of the boxes.
        updated: boxes.
        siblings: boxes.
        factor: how many times as much the new model counts.
        hours: observed after; before it are four times as many.
    """

    roads: Roads
    updated: int
    siblings: int
    factor: float
    hours: float


def fleet(trial: Trial, seed: int) -> list[BoxCounts]:
    """One fleet."""
    random = np.random.default_rng(seed)
    roads, n = trial.roads, trial.updated + trial.siblings
    before_hours = 4 * trial.hours
    rates = roads.busy * np.exp(random.normal(0, roads.spread, n))
    daytime = random.uniform(0.3, 3)  # the same for all: rush hour, rain
    change = daytime * np.exp(random.normal(0, roads.restless, n))
    change[random.random(n) < roads.outliers] *= random.choice(_OUTLIERS)
    change[: trial.updated] *= trial.factor
    before = random.poisson(rates * before_hours)
    after = random.poisson(rates * change * trial.hours)
    return [
        BoxCounts(index < trial.updated, float(before[index]), before_hours, float(after[index]), trial.hours)
        for index in range(n)
    ]
