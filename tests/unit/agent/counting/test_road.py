"""Crossings of a road whose truth is known, seen by a perfect detector and by a poor one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from agent.counting.counter import CameraCounter, make_counter
from contracts.config import CameraConfig
from runtime.results import Detections
from runtime.synthetic_road import RoadSettings, RoadVehicle, SyntheticRoad

LABELS = ("car", "truck", "bus")
LINES = (
    ((0.0, 0.45), (1.0, 0.45)),
    ((0.0, 0.6), (1.0, 0.6)),
    ((1.0, 0.75), (0.0, 0.75)),
    ((0.1, 0.9), (0.9, 0.4)),
    ((0.3, 0.6), (0.7, 0.6)),
)
ASPECT = 16 / 9


def a_road(seed: int, fps: float) -> SyntheticRoad:
    return SyntheticRoad(RoadSettings(width=64, height=64, seed=seed, fps=fps))


def a_counter() -> CameraCounter:
    lines = [{"name": f"l{i}", "start": start, "end": end} for i, (start, end) in enumerate(LINES)]
    return make_counter(CameraConfig.model_validate({"id": "a", "source": "synthetic", "line": lines}), LABELS)


def detected(vehicles: Sequence[RoadVehicle]) -> Detections:
    return Detections(
        np.array([vehicle.box for vehicle in vehicles], np.float32).reshape(-1, 4),
        np.full(len(vehicles), 0.9, np.float32),
        np.array([LABELS.index(vehicle.label) for vehicle in vehicles], np.int64),
    )


def spoiled(seen: Detections, rng: np.random.Generator) -> Detections:
    """One of ten missed, every edge off by 3 % of the box (one standard deviation)."""
    kept = rng.random(len(seen)) >= 0.1
    boxes = seen.boxes[kept]
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    boxes = np.clip(boxes + 0.03 * sides * rng.standard_normal(boxes.shape), 0, 1).astype(np.float32)
    return Detections(boxes, seen.scores[kept], seen.class_ids[kept])


def crossings(road: SyntheticRoad, frames: int, spoil: np.random.Generator | None = None) -> list[tuple[int, int]]:
    """In and out of each line; empty frames at the end settle what was under way."""
    counter, fps = a_counter(), road.settings.fps
    found: dict[str, list[str]] = {f"l{i}": [] for i in range(len(LINES))}
    for i in range(frames + int(3 * fps)):
        seen = detected(road.vehicles(i)) if i < frames else Detections.none()
        counts = counter.update(spoiled(seen, spoil) if spoil else seen, i / fps, ASPECT)
        for crossing in counts.crossings:
            found[crossing.line].append(crossing.direction)
    return [(directions.count("in"), directions.count("out")) for directions in found.values()]


def truth(road: SyntheticRoad, frames: int) -> list[tuple[int, int]]:
    return [road.crossings(start, end, 0, frames - 1) for start, end in LINES]


@pytest.mark.parametrize("seed", [0, 1, 2, 7])
@pytest.mark.parametrize(("fps", "seconds"), [(30.0, 15), (10.0, 40), (5.0, 60)])
def test_with_perfect_detections_every_crossing_is_counted_and_none_besides(
    seed: int, fps: float, seconds: int
) -> None:
    road, frames = a_road(seed, fps), int(seconds * fps)
    expected = truth(road, frames)
    assert sum(map(sum, expected)) >= 40
    assert crossings(road, frames) == expected


@pytest.mark.parametrize(("fps", "seconds", "error"), [(30.0, 15, 0.01), (10.0, 40, 0.01), (5.0, 60, 0.02)])
def test_with_misses_and_jitter_the_error_stays_small(fps: float, seconds: int, error: float) -> None:
    wrong = right = 0
    for seed in (0, 1, 2):
        road, frames = a_road(seed, fps), int(seconds * fps)
        expected = truth(road, frames)
        found = crossings(road, frames, np.random.default_rng(seed))
        wrong += int(np.abs(np.subtract(found, expected)).sum())
        right += sum(map(sum, expected))
    assert wrong <= error * right
