"""A traffic camera that does not exist: pictures of a road whose truth is known exactly.

The demo's default source, training data for the density model, parity input of the converter and the ground that
most tests stand on. A frame is a function of (settings, index) alone: any index may be asked for in any order, on
any machine, and gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from runtime.synthetic.picture import Picture
from runtime.synthetic.scene import MIN_COUNTED_HEIGHT, Direction, build_scene
from runtime.synthetic.settings import RoadSettings
from runtime.synthetic.traffic import Label, Traffic, Trip
from runtime.synthetic.truth import Placed, clip_boxes, depths, motion_of, place, project

__all__ = ["MIN_COUNTED_HEIGHT", "MIN_COUNTED_VISIBLE", "Point", "RoadSettings", "RoadVehicle", "SyntheticRoad"]

MIN_COUNTED_VISIBLE = 0.3
CACHED_MOMENTS = 8

Point = tuple[float, float]


@dataclass(frozen=True)
class RoadVehicle:
    """One vehicle in one frame; all coordinates in 0..1 of the picture, y downwards.

    Attributes:
        vehicle_id: The same in every frame, unique in the stream.
        label: What it counts as; vans are trucks.
        box: (x1, y1, x2, y2), clipped to the picture.
        anchor: (x, y) of the box centre.
        visible: Share of the whole box that is inside the picture and not hidden by nearer vehicles or occluders.
        direction: Where it drives, seen from the camera.
    """

    vehicle_id: int
    label: Label
    box: tuple[float, float, float, float]
    anchor: Point
    visible: float
    direction: Direction

    @property
    def counted(self) -> bool:
        """The count rule: at least 0.3 visible, and a box at least 0.02 of the picture high."""
        high_enough = self.box[3] - self.box[1] >= MIN_COUNTED_HEIGHT
        return high_enough and self.visible >= MIN_COUNTED_VISIBLE


class SyntheticRoad:
    """A seeded road camera; safe to share between threads, bounded in memory however long it runs.

    Args:
        settings: Picture, seed and traffic.
    """

    def __init__(self, settings: RoadSettings | None = None) -> None:
        self.settings = settings or RoadSettings()
        self._scene = build_scene(self.settings)
        self._traffic = Traffic(self.settings, self._scene)
        self._picture = Picture(self.settings, self._scene)
        self._placed = lru_cache(maxsize=CACHED_MOMENTS)(self._place)

    def frame(self, index: int) -> NDArray[np.uint8]:
        """The picture of frame `index`: uint8 BGR of shape (height, width, 3), owned by the caller."""
        return self._picture.paint(self._placed(index), index)

    def vehicles(self, index: int) -> tuple[RoadVehicle, ...]:
        """All vehicles drawn in frame `index`, small and hidden ones too, by id."""
        return tuple(self._vehicle(placed) for placed in self._placed(index))

    def count(self, index: int) -> int:
        """How many vehicles of frame `index` count as present: those with `RoadVehicle.counted`."""
        return sum(vehicle.counted for vehicle in self.vehicles(index))

    def crossings(self, start: Point, end: Point, first: int, last: int) -> tuple[int, int]:
        """Count anchors that pass through the line from `start` to `end` between frames `first` and `last`.

        A step from one frame to the next counts when the vehicle is in `vehicles` of both. So the counts of
        [a, b] and [b, c] add up to those of [a, c], and turning the line round swaps the two numbers.

        Args:
            start: Where the line begins, in 0..1 of the picture.
            end: Where it ends; the line includes both.
            first: Frame index at which the first step starts.
            last: Frame index at which the last step ends.

        Returns:
            (in, out): in is from the line's left to its right, looking from start to end.
        """
        _check_line(start, end, first, last)
        fps = self.settings.fps
        inward = outward = 0
        for trip in self._traffic.started(first / fps, last / fps):
            for steps in self._tracks(trip, first, last):
                trip_in, trip_out = _count_steps(steps, start, end)
                inward, outward = inward + trip_in, outward + trip_out
        return inward, outward

    def _place(self, index: int) -> tuple[Placed, ...]:
        """Where every listed vehicle of a frame is."""
        if index < 0:
            raise ValueError(f"index: expected 0 or more, got {index}")
        seconds = index / self.settings.fps
        trips = sorted(self._traffic.started(seconds, seconds), key=lambda trip: trip.vehicle_id)
        return place(self._scene, trips, seconds)

    def _vehicle(self, placed: Placed) -> RoadVehicle:
        """What the user is told about a vehicle."""
        x1, y1, x2, y2 = clip_boxes(np.array(placed.box)).tolist()
        return RoadVehicle(
            vehicle_id=placed.trip.vehicle_id,
            label=placed.trip.body.label,
            box=(x1, y1, x2, y2),
            anchor=((x1 + x2) / 2, (y1 + y2) / 2),
            visible=placed.visible,
            direction=self._scene.lanes[placed.trip.lane].direction,
        )

    def _tracks(self, trip: Trip, first: int, last: int) -> Iterator[NDArray[np.float64]]:
        """Anchors (n, 2) of a trip in frames `first` to `last`, one array per unbroken run of listed frames."""
        fps = self.settings.fps
        begin = max(first, int(trip.start * fps) - 1)
        stop = min(last, int((trip.start + self._traffic.longest_trip) * fps) + 1)
        if stop <= begin:
            return
        motion = motion_of(self._scene, [trip])
        near, far = depths(self._scene, motion, np.arange(begin, stop + 1) / fps)
        whole, listed = project(self._scene, motion, near, far)
        box = clip_boxes(whole)
        anchors = np.stack(((box[:, 0] + box[:, 2]) / 2, (box[:, 1] + box[:, 3]) / 2), axis=-1)
        edges = np.flatnonzero(np.diff(np.concatenate(([False], listed, [False]))))
        for run_start, run_stop in edges.reshape(-1, 2).tolist():
            yield anchors[run_start:run_stop]


def _check_line(start: Point, end: Point, first: int, last: int) -> None:
    """Refuse a line without length and a range that runs backwards."""
    if start == end:
        raise ValueError(f"line: expected two different points, got {start} twice")
    if not 0 <= first <= last:
        raise ValueError(f"frames: expected 0 <= first <= last, got first {first}, last {last}")


def _count_steps(anchors: NDArray[np.float64], start: Point, end: Point) -> tuple[int, int]:
    """Steps of a track (n, 2) through a line: (left to right, right to left).

    An anchor exactly on the line is on one fixed side of it, whichever way the line is drawn, so that turning the
    line round swaps the numbers and no crossing is seen twice or never.
    """
    if start > end:
        inward, outward = _count_steps(anchors, end, start)
        return outward, inward
    along_x, along_y = end[0] - start[0], end[1] - start[1]
    x, y = anchors[:, 0] - start[0], anchors[:, 1] - start[1]
    side = along_x * y - along_y * x
    right = side >= 0.0
    changed = np.flatnonzero(right[1:] != right[:-1])
    share = side[changed] / (side[changed] - side[changed + 1])
    place_x = x[changed] + share * (x[changed + 1] - x[changed])
    place_y = y[changed] + share * (y[changed + 1] - y[changed])
    along = (place_x * along_x + place_y * along_y) / (along_x * along_x + along_y * along_y)
    within = (along >= 0.0) & (along <= 1.0)
    inward = int(np.count_nonzero(within & right[changed + 1]))
    return inward, int(np.count_nonzero(within)) - inward
