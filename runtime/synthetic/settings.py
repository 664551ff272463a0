"""What a user may choose about the synthetic camera."""

from __future__ import annotations

import math
from dataclasses import dataclass

MIN_SIDE = 64
MAX_SIDE = 8192
MAX_LANES = 8
MAX_NOISE = 8
MAX_FLOW_PER_LANE = 45.0  # vehicles a minute; far above this a peak of traffic would not keep its headway


@dataclass(frozen=True)
class RoadSettings:
    """The picture wanted and the traffic on the road.

    The truth (vehicles, counts, crossings) depends on `seed`, `lanes`, `vehicles_per_minute` and `occlusion`, and
    on time = index / `fps`; never on `width`, `height`, `night` or `noise`.

    Attributes:
        width: Picture width in pixels, 64 to 8192.
        height: Picture height in pixels, 64 to 8192. Any shape shows the same view, stretched from 16:9.
        fps: Frames a second; frame i shows the road at i / fps seconds.
        seed: Chooses camera, landscape, light and traffic; 0 or more.
        vehicles_per_minute: Long-term mean over all lanes, at most 45 a lane; the flow itself comes and goes.
        lanes: Lanes in all, 1 to 8; the right half leads away from the camera, the left half towards it.
        night: Dark, with street lamps, head and tail lights.
        occlusion: Things stand in front of the road: a post, a gantry or a tree. Vehicles hide each other anyway.
        noise: Largest sensor noise in grey levels, 0 to 8; 0 turns it off.
    """

    width: int = 1920
    height: int = 1080
    fps: float = 30.0
    seed: int = 0
    vehicles_per_minute: float = 45.0
    lanes: int = 4
    night: bool = False
    occlusion: bool = True
    noise: int = 3

    def __post_init__(self) -> None:
        _require_integer("width", self.width, MIN_SIDE, MAX_SIDE)
        _require_integer("height", self.height, MIN_SIDE, MAX_SIDE)
        _require_integer("seed", self.seed, 0, 2**63 - 1)
        _require_integer("lanes", self.lanes, 1, MAX_LANES)
        _require_integer("noise", self.noise, 0, MAX_NOISE)
        _require_number("fps", self.fps, 0.01, 1000.0)
        _require_number("vehicles_per_minute", self.vehicles_per_minute, 0.0, MAX_FLOW_PER_LANE * self.lanes)


def _require_integer(name: str, value: object, low: int, high: int) -> None:
    """Refuse what is not an integer of [low, high]."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{name}: expected an integer from {low} to {high}, got {value!r}")


def _require_number(name: str, value: object, low: float, high: float) -> None:
    """Refuse what is not a finite number of [low, high]."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not low <= value <= high:  # type: ignore[arg-type, operator]
        raise ValueError(f"{name}: expected a number from {low:g} to {high:g}, got {value!r}")
