"""Counting the synthetic road in one scenario, and comparing with what truly happened."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.counting.counter import make_counter
from contracts.config import CameraConfig
from runtime.results import Detections
from runtime.synthetic_road import Point, RoadSettings, SyntheticRoad
from tools.counting_bench.detector import LABELS, Detector
from tools.counting_bench.scenarios import Scenario

LINES: tuple[tuple[Point, Point], ...] = (
    ((0.0, 0.5), (1.0, 0.5)),
    ((0.0, 0.65), (1.0, 0.65)),
    ((1.0, 0.8), (0.0, 0.8)),
)
ZONE: tuple[Point, ...] = ((0.0, 0.55), (1.0, 0.55), (1.0, 0.95), (0.0, 0.95))
_ASPECT = 16 / 9
_AFTER = 3.0  # seconds of an empty road at the end, in which what is under way is settled
_STALL_EVERY = 10.0  # seconds


@dataclass(frozen=True)
class Counted:
    """One road counted.

    Args:
        true: (in, out) of each line.
        counted: the same as it was counted.
        present: mean number of vehicles in the zone, true and as counted; the first counts vehicles whose anchor is in
            the zone.
        frames: that were counted.
        pixels: way of a vehicle from one counted frame to the next, in pixels of a 1920x1080 picture: of a hundred such
            ways ten are longer.
    """

    true: tuple[tuple[int, int], ...]
    counted: tuple[tuple[int, int], ...]
    present: tuple[float, float]
    frames: int
    pixels: float

    @property
    def crossings(self) -> int:
        """True crossings of all lines both ways."""
        return sum(map(sum, self.true))

    @property
    def wrong(self) -> int:
        """Crossings too many or too few: the differences of each line and direction, without their signs."""
        return int(np.abs(np.subtract(self.counted, self.true)).sum())

    @property
    def bias(self) -> int:
        """Counted minus true."""
        return int(np.subtract(self.counted, self.true).sum())


def count_road(scenario: Scenario, seed: int, seconds: float) -> Counted:
    """Count one road.

    Args:
        scenario: what goes wrong.
        seed: of the road, and of the faults.
        seconds: how long.
    """
    road = SyntheticRoad(
        RoadSettings(
            width=64,
            height=64,
            seed=seed,
            fps=scenario.fps,
            vehicles_per_minute=scenario.vehicles_per_minute,
            occlusion=scenario.occlusion,
        )
    )
    counter = make_counter(_camera(), LABELS)
    detector = Detector(scenario.faults, scenario.fps, seed)
    frames = int(seconds * scenario.fps)
    crossed: dict[str, list[str]] = {f"l{number}": [] for number in range(len(LINES))}
    present: list[tuple[int, float]] = []
    ways: list[float] = []
    before: dict[int, Point] = {}
    for index in _coming(scenario, frames, np.random.default_rng(seed)):
        vehicles = road.vehicles(index) if index < frames else ()
        seen = detector.detect(vehicles, index) if index < frames else Detections.none()
        counts = counter.update(seen, index / scenario.fps, _ASPECT)
        for crossing in counts.crossings:
            crossed[crossing.line].append(crossing.direction)
        if index < frames:
            now = {vehicle.vehicle_id: vehicle.anchor for vehicle in vehicles if vehicle.counted}
            ways += [_pixels(before[vehicle], now[vehicle]) for vehicle in before.keys() & now.keys()]
            before = now
            present.append((sum(_in_zone(anchor) for anchor in now.values()), counts.zones["zone"]))
    return Counted(
        true=tuple(road.crossings(start, end, 0, frames - 1) for start, end in LINES),
        counted=tuple((directions.count("in"), directions.count("out")) for directions in crossed.values()),
        present=(float(np.mean([true for true, _ in present])), float(np.mean([found for _, found in present]))),
        frames=len(present),
        pixels=float(np.percentile(ways, 90)) if ways else 0.0,
    )


def _coming(scenario: Scenario, frames: int, random: np.random.Generator) -> list[int]:
    """Which frames come; the empty ones at the end always do."""
    stalled = int(scenario.burst * scenario.fps)
    period = int(_STALL_EVERY * scenario.fps)
    kept = random.random(frames) >= scenario.dropped
    coming = [index for index in range(frames) if kept[index] and index % period >= stalled]
    return [*coming, *range(frames, frames + int(_AFTER * scenario.fps))]


def _camera() -> CameraConfig:
    lines = [{"name": f"l{number}", "start": start, "end": end} for number, (start, end) in enumerate(LINES)]
    zone = {"name": "zone", "polygon": ZONE, "anchor": "center"}
    return CameraConfig.model_validate({"id": "road", "source": "synthetic", "line": lines, "zone": [zone]})


def _in_zone(anchor: Point) -> bool:
    (left, top), (right, bottom) = ZONE[0], ZONE[2]
    return left <= anchor[0] <= right and top <= anchor[1] <= bottom


def _pixels(one: Point, other: Point) -> float:
    return float(np.hypot((other[0] - one[0]) * 1920, (other[1] - one[1]) * 1080))
