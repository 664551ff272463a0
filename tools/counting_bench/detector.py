"""A detector whose faults are chosen: what it is shown is the truth of the synthetic road, what it gives is worse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.results import Detections
from runtime.synthetic_road import RoadVehicle

LABELS = ("car", "truck", "bus", "motorcycle")
_SCORE = 0.9
_DOUBTED = 0.25  # between the threshold to count with and that to follow with
_HIDDEN = 0.3  # less of a vehicle visible than this, and detectors do not find it


@dataclass(frozen=True)
class Faults:
    """What is wrong with the detections.

    Args:
        missed: share of detections that are not made, each frame by itself.
        blinked: share of a second's frames, in one run, in which a vehicle is not detected; its phase is its own.
        jitter: standard deviation of each edge, as a share of the box.
        relabelled: share of detections that carry another label.
        doubted: share of detections that come with a score below the threshold to count with.
        invented: boxes a frame that nothing is behind, at random places.
        hidden: whether vehicles that are mostly hidden are detected all the same.
    """

    missed: float = 0.0
    blinked: float = 0.0
    jitter: float = 0.0
    relabelled: float = 0.0
    doubted: float = 0.0
    invented: float = 0.0
    hidden: bool = False


class Detector:
    """Gives detections with faults; the same seed gives the same.

    Args:
        faults: what goes wrong.
        fps: frames a second, for what lasts.
        seed: of the faults.
    """

    def __init__(self, faults: Faults, fps: float, seed: int) -> None:
        self._faults = faults
        self._fps = fps
        self._random = np.random.default_rng(seed)

    def detect(self, vehicles: Sequence[RoadVehicle], index: int) -> Detections:
        """What it finds of the vehicles of frame ``index``."""
        found = [vehicle for vehicle in vehicles if self._finds(vehicle, index)]
        boxes = np.array([vehicle.box for vehicle in found], np.float64).reshape(-1, 4)
        labels = np.array([LABELS.index(vehicle.label) for vehicle in found], np.int64)
        swapped = self._random.random(len(found)) < self._faults.relabelled
        labels[swapped] = (labels[swapped] + 1) % len(LABELS)
        doubted = self._random.random(len(found)) < self._faults.doubted
        scores = np.where(doubted, _DOUBTED, _SCORE)
        return self._with_invented(self._shaken(boxes), scores, labels)

    def _finds(self, vehicle: RoadVehicle, index: int) -> bool:
        if self._random.random() < self._faults.missed:
            return False
        phase = (index / self._fps + vehicle.vehicle_id * 0.618) % 1.0  # the golden ratio spreads them
        return phase >= self._faults.blinked and (self._faults.hidden or vehicle.visible >= _HIDDEN)

    def _shaken(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
        return np.clip(boxes + self._faults.jitter * sides * self._random.standard_normal(boxes.shape), 0, 1)

    def _with_invented(
        self, boxes: NDArray[np.float64], scores: NDArray[np.float64], labels: NDArray[np.int64]
    ) -> Detections:
        count = int(self._random.poisson(self._faults.invented))
        centres, sides = self._random.uniform(0.1, 0.9, (count, 2)), self._random.uniform(0.02, 0.1, (count, 2))
        more = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)
        return Detections(
            np.concatenate([boxes, more]).astype(np.float32),
            np.concatenate([scores, np.full(count, _SCORE)]).astype(np.float32),
            np.concatenate([labels, self._random.integers(0, len(LABELS), count)]),
        )
