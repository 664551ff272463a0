"""Who drives when: trips drawn in blocks of time, so that any moment can be asked for directly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from runtime.synthetic.scene import Lane, Scene, generator
from runtime.synthetic.settings import RoadSettings

Label = Literal["car", "truck", "bus"]

BLOCK_SECONDS = 16.0
MIN_GAP = 7.0  # metres between two vehicles of a lane
CACHED_BLOCKS = 64
EARLIEST_BLOCK = 1024  # added to block numbers: generators want them positive, and the road is busy at t = 0
IDS_PER_BLOCK = 64  # of one lane; 16 s at a headway of half a second is 32
QUIETEST, BUSIEST = 0.15, 1.85  # flow of a block, in units of the long-term mean


@dataclass(frozen=True)
class Body:
    """A kind of vehicle: how it looks (`shape`), what it counts as, its size in metres and its share of traffic."""

    shape: Literal["saloon", "hatchback", "suv", "van", "lorry", "bus"]
    label: Label
    length: float
    width: float
    height: float
    share: float


BODIES = (
    Body("saloon", "car", 4.6, 1.82, 1.45, 0.30),
    Body("hatchback", "car", 4.0, 1.76, 1.50, 0.26),
    Body("suv", "car", 4.7, 1.92, 1.72, 0.22),
    Body("van", "truck", 5.6, 2.02, 2.35, 0.09),
    Body("lorry", "truck", 9.0, 2.48, 3.55, 0.08),
    Body("bus", "bus", 11.5, 2.52, 3.10, 0.05),
)
MEAN_LENGTH = sum(body.length * body.share for body in BODIES)
LONGEST = max(body.length for body in BODIES)


@dataclass(frozen=True)
class Trip:
    """One vehicle's way along the road.

    Attributes:
        vehicle_id: Unique in the stream.
        lane: Index into the scene's lanes.
        body: What drives.
        paint: Free choice of colour; taken modulo the number of colours there are.
        start: Second at which its front enters the road, out of sight.
    """

    vehicle_id: int
    lane: int
    body: Body
    paint: int
    start: float


class Traffic:
    """The trips of all lanes, endless in both directions of time.

    Args:
        settings: Seed and flow.
        scene: Lanes and how far the road reaches.
    """

    def __init__(self, settings: RoadSettings, scene: Scene) -> None:
        self._settings = settings
        self._scene = scene
        slowest = min(lane.speed for lane in scene.lanes)
        self.longest_trip = (scene.reach + LONGEST) / slowest
        self._block = lru_cache(maxsize=CACHED_BLOCKS)(self._draw_block)

    def started(self, first: float, last: float) -> Iterator[Trip]:
        """Trips that may be under way at some second of [first, last], in order of lane within block."""
        for block in range(int((first - self.longest_trip) // BLOCK_SECONDS), int(last // BLOCK_SECONDS) + 1):
            for trip in self._block(block):
                if first - self.longest_trip <= trip.start <= last:
                    yield trip

    def cached_blocks(self) -> int:
        """How many blocks are held in memory, at most `CACHED_BLOCKS`."""
        return self._block.cache_info().currsize

    def _draw_block(self, block: int) -> tuple[Trip, ...]:
        """All trips that start within one block of `BLOCK_SECONDS`."""
        tide = generator(self._settings, 2, block + EARLIEST_BLOCK).random()
        flow = self._settings.vehicles_per_minute / 60.0 / len(self._scene.lanes)
        flow *= QUIETEST + (BUSIEST - QUIETEST) * tide
        return tuple(trip for number in range(len(self._scene.lanes)) for trip in self._draw_lane(block, number, flow))

    def _draw_lane(self, block: int, number: int, flow: float) -> Iterator[Trip]:
        """Trips of one lane; each leaves its own headway behind it before the block ends."""
        if flow <= 0.0:
            return
        rng = generator(self._settings, 3, number, block + EARLIEST_BLOCK)
        lane = self._scene.lanes[number]
        slack = max(0.0, 1.0 / flow - (MEAN_LENGTH + MIN_GAP) / lane.speed)
        now, end = block * BLOCK_SECONDS, (block + 1) * BLOCK_SECONDS
        now += slack * rng.random()
        for count in range(IDS_PER_BLOCK):
            body, paint = pick_body(rng), int(rng.integers(0, 1 << 16))
            headway = headway_seconds(body, lane)
            if now + headway > end:
                return
            identity = ((block + EARLIEST_BLOCK) * len(self._scene.lanes) + number) * IDS_PER_BLOCK + count
            yield Trip(identity, number, body, paint, now)
            now += headway + slack * 2.0 * rng.random()


def pick_body(rng: np.random.Generator) -> Body:
    """Draw a body by its share of traffic."""
    value = rng.random()
    for body in BODIES[:-1]:
        value -= body.share
        if value < 0.0:
            return body
    return BODIES[-1]


def headway_seconds(body: Body, lane: Lane) -> float:
    """Seconds after a vehicle's start during which no other may start in its lane."""
    return (body.length + MIN_GAP) / lane.speed
