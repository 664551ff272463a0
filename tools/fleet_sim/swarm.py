"""All boxes of a simulation, in one asyncio loop."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable

from tools.fleet_sim.box import SimBox, World
from tools.fleet_sim.link import KEEPALIVE, allow_files
from tools.fleet_sim.scenario import population
from tools.fleet_sim.truth import BoxTruth
from tools.fleet_sim.updating import OLD

_AT_ONCE = 200  # connections that are being made
_PINGS_AT_ONCE = 200
_LOOK = 0.1  # seconds between two looks


class Swarm:
    """Boxes.

    Args:
        world: theirs.
        boxes: how many.

    Raises:
        OSError: this machine does not allow so many connections.
    """

    def __init__(self, world: World, boxes: int) -> None:
        allow_files(boxes)
        self._world = world
        self.boxes = {
            device: SimBox(world, kind, BoxTruth(device, kind.name, fate, OLD.manifest))
            for device, kind, fate in population(world.scenario, boxes)
        }
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def messages(self) -> tuple[int, int]:
        """How many boxes have sent and got."""
        every = self.boxes.values()
        return sum(box.messages_out for box in every), sum(box.messages_in for box in every)

    @property
    def is_busy(self) -> bool:
        """Whether an update goes on, or something that a box said is not confirmed."""
        return any(box.is_busy for box in self.boxes.values())

    async def connect(self) -> None:
        """Connect all."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(box: SimBox) -> None:
            async with gate:
                await box.connect()

        await asyncio.gather(*(one(box) for box in self.boxes.values()))
        self._tasks.append(asyncio.create_task(self._ping()))
        if self._world.scenario.flaps_per_hour:
            self._tasks.append(asyncio.create_task(self._flap()))

    @property
    def lost(self) -> list[SimBox]:
        """Those that should be connected and are not, for now or for good."""
        return [box for box in self.boxes.values() if not box.online and not box.truth.away]

    async def settle(self, patience: float) -> bool:
        """Wait until nothing moves any more, with no more links lost on purpose; whether it came to that in time.

        Args:
            patience: the machine's seconds.
        """
        for task in self._tasks[1:]:
            task.cancel()
        deadline = time.monotonic() + patience
        while self.is_busy or self.lost:
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(_LOOK)
        return True

    def leavers(self) -> list[SimBox]:
        """Those that are away when the rollout begins."""
        chance = random.Random(f"{self._world.scenario.seed} away")  # noqa: S311 - no secret
        count = round(self._world.scenario.offline * len(self.boxes))
        return [self.boxes[device] for device in chance.sample(sorted(self.boxes), count)]

    async def bring_back(self, boxes: Iterable[SimBox]) -> None:
        """Have boxes come back, one by one."""
        away = list(boxes)
        after = self._world.clock.seconds(self._world.scenario.returns_after)
        await asyncio.sleep(after)
        for box in away:
            await box.connect()
            await asyncio.sleep(after / len(away))

    async def close(self) -> None:
        """Cut all connections."""
        for task in self._tasks:
            task.cancel()
        for box in self.boxes.values():
            box.cut()
        await asyncio.sleep(0)

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(KEEPALIVE / 3)
            for number, box in enumerate(self.boxes.values(), 1):
                box.ping()
                if number % _PINGS_AT_ONCE == 0:
                    await asyncio.sleep(0.01)

    async def _flap(self) -> None:
        """Have links be lost, each box's as often as the scenario says on average."""
        scenario, chance = self._world.scenario, random.Random(f"{self._world.scenario.seed} flaps")  # noqa: S311 - no secret
        every = list(self.boxes.values())
        while True:
            until_next = chance.expovariate(scenario.flaps_per_hour * len(every) / 3600)
            await asyncio.sleep(self._world.clock.seconds(until_next))
            chance.choice(every).lose_link(scenario.flap_seconds)
