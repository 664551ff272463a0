"""Pictures of the synthetic road, to learn from and to measure on (other seeds)."""

from __future__ import annotations

import numpy as np

from runtime.synthetic_road import RoadSettings, SyntheticRoad
from tools.zoo.augment import Picture
from tools.zoo.data import Boxes
from tools.zoo.recipes import Recipe

SIDE = 480
"""Pixels of a painted picture: enough to zoom in a little."""

TRAIN_SEEDS = range(1000, 1030)
TEST_SEEDS = range(20)
"""Beginning with 0, the demo's own road."""

MOMENTS = (300, 1500, 3300, 5400, 8100)
"""Frame numbers, at 30 a second, far enough apart for other vehicles to be there."""


def synthetic_pictures(recipe: Recipe) -> list[tuple[Picture, Boxes]]:
    """Pictures to learn from with the boxes (0 to 1) of the vehicles that count; none where a recipe wants none."""
    return painted(TRAIN_SEEDS, SIDE) if recipe.synthetic else []


def painted(seeds: range, side: int) -> list[tuple[Picture, Boxes]]:
    """RGB pictures of roads and the boxes, in 0 to 1, of their counted vehicles."""
    pictures = []
    for seed in seeds:
        road = SyntheticRoad(_settings(seed, side))
        for moment in MOMENTS:
            boxes = np.array([v.box for v in road.vehicles(moment) if v.counted], np.float32).reshape(-1, 4)
            pictures.append((np.ascontiguousarray(road.frame(moment)[:, :, ::-1]), boxes))
    return pictures


def _settings(seed: int, side: int) -> RoadSettings:
    """A road by its number, from which lanes, traffic, light and noise follow; every sixth is a night, 0 the demo's."""
    if seed == 0:
        return RoadSettings(width=side, height=side)
    lanes = 2 + 2 * (seed % 3)
    return RoadSettings(
        width=side,
        height=side,
        seed=seed,
        lanes=lanes,
        vehicles_per_minute=float((6 + 3 * (seed % 5)) * lanes),
        night=seed % 6 == 5,  # noqa: PLR2004 - which sixth
        occlusion=seed % 2 == 0,
        noise=seed % 7,
    )
