"""From trips to boxes in the picture, and who hides whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from runtime.synthetic.scene import LISTED_HEIGHT, Rect, Scene
from runtime.synthetic.traffic import Trip

Array = NDArray[np.float64]
PICTURE: Rect = (0.0, 0.0, 1.0, 1.0)


class Motion(NamedTuple):
    """What the boxes of n trips are computed from: metres, m/s and seconds, all of shape (n,)."""

    lane_x: Array
    speed: Array
    towards: Array
    length: Array
    width: Array
    height: Array
    start: Array


@dataclass(frozen=True)
class Placed:
    """A vehicle at one moment.

    Attributes:
        trip: Which vehicle.
        near: Distance in metres of its face nearest to the camera; below zero once that has passed under it.
        far: Distance of its other face.
        box: Its whole box in 0..1 of the picture; reaches beyond where it is cut by the picture's border.
        hidden_by: What stands in front of it: parts of nearer vehicles and of the scene's occluders.
        behind: Indices of the vehicles that it may hide.
    """

    trip: Trip
    near: float
    far: float
    box: Rect
    hidden_by: tuple[Rect, ...]
    behind: tuple[int, ...]

    @property
    def visible(self) -> float:
        """Share 0..1 of the box that is inside the picture and not hidden."""
        inside = intersection(self.box, PICTURE)
        return max(0.0, area(inside) - covered_area(inside, self.hidden_by)) / area(self.box)


def motion_of(scene: Scene, trips: Sequence[Trip]) -> Motion:
    """Gather the numbers of n trips."""
    rows = []
    for trip in trips:
        lane, body = scene.lanes[trip.lane], trip.body
        towards = float(lane.direction == "towards")
        rows.append((lane.x, lane.speed, towards, body.length, body.width, body.height, trip.start))
    return Motion(*np.array(rows, dtype=np.float64).reshape(len(rows), 7).T)


def depths(scene: Scene, motion: Motion, seconds: Array) -> tuple[Array, Array]:
    """Distances in metres of the nearer and the farther face of each vehicle at `seconds` (n,) or (1,).

    Vehicles towards the camera enter at `scene.reach`, the others right under the camera.
    """
    way = motion.speed * (seconds - motion.start)
    near = np.where(motion.towards > 0.0, scene.reach - way, way - motion.length)
    return near, near + motion.length


def project(scene: Scene, motion: Motion, near: Array, far: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Boxes of vehicles whose faces are `near` and `far` metres away.

    What has passed under the picture's lower border is cut off where the roof leaves the picture: a point below
    the camera has no place in the picture at all.

    Returns:
        Boxes (n, 4) in 0..1, reaching beyond the picture where they are cut by its border; and (n,) whether the
        vehicle is listed: some of its box is in the picture and it is not too small.
    """
    camera = scene.camera
    gone = camera.drop * (camera.height - motion.height) / (1.0 - camera.horizon)
    present = far > gone
    far, near = np.maximum(far, gone), np.maximum(near, gone)
    left, right = motion.lane_x - motion.width / 2, motion.lane_x + motion.width / 2
    bend_near, bend_far = camera.curve * near, camera.curve * far
    x1 = 0.5 + camera.focal * np.minimum(left / near + bend_near, left / far + bend_far)
    x2 = 0.5 + camera.focal * np.maximum(right / near + bend_near, right / far + bend_far)
    y1 = camera.horizon + camera.drop * (camera.height - motion.height) / far
    y2 = camera.horizon + camera.drop * camera.height / near
    present &= (x1 < 1.0) & (x2 > 0.0) & (y1 < 1.0) & (y2 > 0.0) & (y2 - y1 >= LISTED_HEIGHT)
    return np.stack((x1, y1, x2, y2), axis=-1), present


def clip_boxes(whole: Array) -> Array:
    """Boxes (n, 4) cut to the picture."""
    return np.minimum(np.maximum(whole, 0.0), 1.0)


def place(scene: Scene, trips: Sequence[Trip], seconds: float) -> tuple[Placed, ...]:
    """The listed vehicles at one moment, and what hides each of them."""
    motion = motion_of(scene, trips)
    near, far = depths(scene, motion, np.array([seconds]))
    whole, present = project(scene, motion, near, far)
    chosen = np.flatnonzero(present).tolist()
    items = [(trips[i], float(near[i]), float(far[i]), _rect(whole[i].tolist())) for i in chosen]
    in_front = _vehicles_in_front(scene, items)
    placed = []
    for i, (trip, near_m, far_m, box) in enumerate(items):
        hiding = [part for j in in_front[i] for part in _faces(scene, items[j])]
        for thing in scene.occluders:
            if thing.distance < near_m:
                hiding.extend(rect for rect in thing.rects if overlap(rect, box))
        behind = tuple(j for j, others in enumerate(in_front) if i in others)
        placed.append(Placed(trip, near_m, far_m, box, tuple(hiding), behind))
    return tuple(placed)


Item = tuple[Trip, float, float, Rect]


def _vehicles_in_front(scene: Scene, items: list[Item]) -> list[list[int]]:
    """For each vehicle, which others hide some of its box."""
    in_front: list[list[int]] = [[] for _ in items]
    for i, one in enumerate(items):
        for j in range(i):
            other = items[j]
            if not overlap(one[3], other[3]):
                continue
            if _nearer(scene, one, other):
                in_front[j].append(i)
            else:
                in_front[i].append(j)
    return in_front


def _nearer(scene: Scene, one: Item, other: Item) -> bool:
    """Whether `one` hides `other` and not the other way round.

    Side by side, the vehicle closer to the line of sight along the road is in front: lines of sight spread
    outwards, and never come back to an inner lane.
    """
    if one[2] <= other[1]:
        return True
    if other[2] <= one[1]:
        return False
    return abs(scene.lanes[one[0].lane].x) < abs(scene.lanes[other[0].lane].x)


def _faces(scene: Scene, item: Item) -> tuple[Rect, Rect]:
    """The rectangles of a vehicle's near and far face; between them they are nearly all that it hides."""
    trip, near, far, _ = item
    camera, x, body = scene.camera, scene.lanes[trip.lane].x, trip.body
    gone = camera.nearest(body.height)

    def face(z: float) -> Rect:
        left, right = x - body.width / 2, x + body.width / 2
        return camera.u(left, z), camera.v(body.height, z), camera.u(right, z), camera.v(0.0, z)

    return face(max(near, gone)), face(max(far, gone))


def _rect(values: list[float]) -> Rect:
    """Four numbers as a rectangle."""
    x1, y1, x2, y2 = values
    return x1, y1, x2, y2


def overlap(one: Rect, other: Rect) -> bool:
    """Whether two rectangles share some area."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def intersection(one: Rect, other: Rect) -> Rect:
    """What two rectangles share; width or height is negative where they share nothing."""
    return max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])


def area(rect: Rect) -> float:
    """Area of a rectangle; 0 of an empty one."""
    return max(0.0, rect[2] - rect[0]) * max(0.0, rect[3] - rect[1])


def covered_area(rect: Rect, covers: Sequence[Rect]) -> float:
    """Area of `rect` under the union of `covers`, exactly: summed over the grid that their edges make."""
    parts = [intersection(rect, cover) for cover in covers if overlap(rect, cover)]
    if len(parts) <= 1:
        return area(parts[0]) if parts else 0.0
    columns = sorted({edge for part in parts for edge in (part[0], part[2])})
    total = 0.0
    for left, right in pairwise(columns):
        reached = -1.0
        for part in sorted((p for p in parts if p[0] <= left and p[2] >= right), key=lambda p: p[1]):
            total += (right - left) * max(0.0, part[3] - max(part[1], reached))
            reached = max(reached, part[3])
    return total
