"""Where the camera hangs, where the lanes lie and what stands in front: one scene per seed.

World coordinates in metres: x to the right of the camera, y above the road, z along the road away from it.
Picture coordinates: u to the right, v downwards, both 0..1. The lens is shifted rather than tilted, so uprights
stay upright and the face of a vehicle that looks at the camera is a rectangle in the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from runtime.synthetic.settings import RoadSettings

Direction = Literal["towards", "away"]
Kind = Literal["post", "gantry", "tree"]
Rect = tuple[float, float, float, float]

ASPECT = 16 / 9
LANE_WIDTH = 3.5
MEDIAN_WIDTH = 1.8
SHOULDER_WIDTH = 1.6
MAX_CAMERA_HEIGHT = 15.0
LISTED_HEIGHT = 0.014  # of the picture; a smaller vehicle is lost in the haze: neither drawn nor listed
MIN_COUNTED_HEIGHT = 0.02  # of the picture (8 of 384 rows)
TALLEST_VEHICLE = 3.6


@dataclass(frozen=True)
class Camera:
    """A pinhole camera above the road.

    Attributes:
        height: Metres above the road.
        focal: Focal length in picture widths.
        horizon: v of the horizon; negative where it lies above the picture.
        curve: Bend of the road: it shifts by curve · z² metres to the right at distance z.
    """

    height: float
    focal: float
    horizon: float
    curve: float

    @property
    def drop(self) -> float:
        """Focal length in picture heights: v = horizon + drop · (height - y) / z."""
        return self.focal * ASPECT

    def u(self, x: float, z: float) -> float:
        """Column 0..1 of a point `x` metres right of the (bent) camera axis, `z` metres away."""
        return 0.5 + self.focal * (x / z + self.curve * z)

    def v(self, y: float, z: float) -> float:
        """Row 0..1 of a point `y` metres above the road, `z` metres away."""
        return self.horizon + self.drop * (self.height - y) / z

    def nearest(self, y: float) -> float:
        """Distance in metres at which a point at height `y` leaves the picture through its lower border."""
        return self.drop * (self.height - y) / (1.0 - self.horizon)


@dataclass(frozen=True)
class Lane:
    """One lane: `x` of its middle in metres, where it leads, and the speed all its vehicles keep in m/s."""

    x: float
    direction: Direction
    speed: float


@dataclass(frozen=True)
class Occluder:
    """Something that stands in front of the road.

    Attributes:
        kind: What is painted.
        distance: Metres; vehicles farther away are hidden by it.
        rects: The parts that hide, (x1, y1, x2, y2) in 0..1 of the picture.
    """

    kind: Kind
    distance: float
    rects: tuple[Rect, ...]


@dataclass(frozen=True)
class Scene:
    """All that the seed fixes, apart from traffic.

    Attributes:
        camera: Where the picture is taken from.
        lanes: From left to right.
        left: x in metres of the carriageway's left edge, shoulder included.
        right: x of its right edge.
        median: x of the middle of the strip between the two directions; None on a one-way road.
        reach: Distance in metres from which on no vehicle is large enough to be listed.
        occluders: What stands in front.
    """

    camera: Camera
    lanes: tuple[Lane, ...]
    left: float
    right: float
    median: float | None
    reach: float
    occluders: tuple[Occluder, ...]


def generator(settings: RoadSettings, *purpose: int) -> np.random.Generator:
    """Random numbers of one purpose, independent of how many another purpose has used."""
    return np.random.default_rng([settings.seed, *purpose])


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """A number of [low, high): what `uniform` gives, without its machine-dependent rounding."""
    return low + (high - low) * rng.random()


def chance(rng: np.random.Generator, share: float) -> bool:
    """True in `share` of all draws."""
    return rng.random() < share


def build_scene(settings: RoadSettings) -> Scene:
    """Lay out the scene of `settings.seed` and `settings.lanes`."""
    rng = generator(settings, 1)
    towards = settings.lanes // 2
    away = settings.lanes - towards
    median_width = MEDIAN_WIDTH if towards else 0.0
    road_width = settings.lanes * LANE_WIDTH + median_width + 2 * SHOULDER_WIDTH
    middle = (towards - away) * LANE_WIDTH / 2 + between(rng, -0.08, 0.08) * road_width
    camera = _camera(rng, road_width)
    lanes = (
        *(_lane(rng, middle, -1, k, median_width) for k in reversed(range(towards))),
        *(_lane(rng, middle, 1, k, median_width) for k in range(away)),
    )
    return Scene(
        camera=camera,
        lanes=lanes,
        left=lanes[0].x - LANE_WIDTH / 2 - SHOULDER_WIDTH,
        right=lanes[-1].x + LANE_WIDTH / 2 + SHOULDER_WIDTH,
        median=middle if towards else None,
        reach=camera.drop * TALLEST_VEHICLE * 1.15 / LISTED_HEIGHT,
        occluders=_occluders(rng, camera, lanes) if settings.occlusion else (),
    )


def _camera(rng: np.random.Generator, road_width: float) -> Camera:
    """Hang the camera so high that the whole carriageway just fits across the lower border."""
    horizon = between(rng, -0.12, 0.2)
    fitting = road_width * between(rng, 1.0, 1.3) * (1.0 - horizon) / ASPECT
    return Camera(
        height=max(6.5, min(fitting, MAX_CAMERA_HEIGHT)),
        focal=between(rng, 0.95, 1.35),
        horizon=horizon,
        curve=between(rng, -0.0004, 0.0004),
    )


def _lane(rng: np.random.Generator, middle: float, side: int, number: int, median_width: float) -> Lane:
    """The `number`-th lane from the median on one side (-1 left, towards the camera; 1 right, away from it)."""
    x = middle + side * (median_width / 2 + (number + 0.5) * LANE_WIDTH)
    speed = between(rng, 17.0, 21.0) - 2.0 * number / (number + 1.0)
    return Lane(x, "towards" if side < 0 else "away", speed)


def _occluders(rng: np.random.Generator, camera: Camera, lanes: tuple[Lane, ...]) -> tuple[Occluder, ...]:
    """One to three of the things that stand in front of a road camera, nearest last."""
    wanted = int(rng.integers(1, 8))
    found = (_gantry(rng, camera, lanes), _tree(rng), _post(rng))
    return tuple(thing for bit, thing in enumerate(found) if wanted & (1 << bit))


def _gantry(rng: np.random.Generator, camera: Camera, lanes: tuple[Lane, ...]) -> Occluder:
    """Two sign panels on a beam across the road, high enough for every truck."""
    z = between(rng, 1.6, 2.4) * camera.nearest(0.0)
    low = min(5.4, 0.62 * camera.height)
    high = low + between(rng, 1.4, 2.2)
    left, right = lanes[0].x - LANE_WIDTH, lanes[-1].x + LANE_WIDTH
    start, width = between(rng, 0.05, 0.3), between(rng, 0.18, 0.3)

    def part(x1: float, x2: float, y1: float, y2: float) -> Rect:
        return camera.u(x1, z), camera.v(y2, z), camera.u(x2, z), camera.v(y1, z)

    span = right - left
    panels = (
        part(left + (start + shift) * span, left + (start + shift + width) * span, low, high) for shift in (0.0, 0.42)
    )
    middle = (low + high) / 2
    beam = part(left, right, middle - 0.2, middle + 0.2)
    legs = (part(x - 0.2, x + 0.2, 0.0, middle + 0.2) for x in (left, right))
    return Occluder("gantry", z, (*panels, beam, *legs))


def _tree(rng: np.random.Generator) -> Occluder:
    """A crown that reaches in from the left or right border, close to the camera."""
    reach, top, size = between(rng, 0.08, 0.17), between(rng, 0.0, 0.3), between(rng, 0.16, 0.3)
    upper = (0.0, top, reach * 0.7, top + size)
    lower = (0.0, top + size * 0.25, reach, top + size * 0.75)
    if chance(rng, 0.5):
        return Occluder("tree", 0.0, (upper, lower))
    return Occluder("tree", 0.0, tuple((1.0 - x2, y1, 1.0 - x1, y2) for x1, y1, x2, y2 in (upper, lower)))


def _post(rng: np.random.Generator) -> Occluder:
    """A lamp post right in front of the camera, from border to border."""
    x, width = between(rng, 0.2, 0.8), between(rng, 0.008, 0.016)
    return Occluder("post", 0.0, ((x, 0.0, x + width, 1.0),))
