"""What simulated boxes and a broker cost by themselves, idle and while each box takes a model; no controller runs."""

from __future__ import annotations

import asyncio
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from contracts.errors import WrittenError
from fleet.clock import wall_ms
from tools.fleet_sim.box import World
from tools.fleet_sim.clock import FastClock
from tools.fleet_sim.driver import Driver, document_of
from tools.fleet_sim.scenario import Scenario
from tools.fleet_sim.servers import Cost, cost, mosquitto, own_cost
from tools.fleet_sim.swarm import Swarm
from tools.fleet_sim.truth import problems
from tools.fleet_sim.updating import NEW

_PATIENCE = 300.0
_LOOK = 0.05


@dataclass
class Measured:
    """What came out; seconds are the machine's, CPU seconds of one core.

    Args:
        boxes: how many.
        seconds: of each phase: connecting until all have said hello, idle, the wave until nothing moves any more.
        boxes_cpu: of the simulator's process in each phase, the driver's among them.
        broker_cpu: of Mosquitto.
        sent: messages that boxes sent in each phase.
        boxes_mb: most memory of the simulator.
        broker_mb: most memory of Mosquitto.
        problems: what must never be.
    """

    boxes: int
    seconds: dict[str, float] = field(default_factory=dict)
    boxes_cpu: dict[str, float] = field(default_factory=dict)
    broker_cpu: dict[str, float] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    boxes_mb: float = 0.0
    broker_mb: float = 0.0
    problems: list[str] = field(default_factory=list)


class _Meter:
    def __init__(self, measured: Measured, swarm: Swarm, broker: int) -> None:
        self._measured = measured
        self._swarm = swarm
        self._broker = broker
        self._before = self._now()

    def note(self, phase: str) -> None:
        before, self._before = self._before, self._now()
        measured = self._measured
        measured.seconds[phase] = self._before[0] - before[0]
        measured.boxes_cpu[phase] = (self._before[1] - before[1]).cpu_seconds
        measured.broker_cpu[phase] = (self._before[2] - before[2]).cpu_seconds
        measured.sent[phase] = self._before[3] - before[3]
        measured.broker_mb = self._before[2].peak_mb
        measured.boxes_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def _now(self) -> tuple[float, Cost, Cost, int]:
        return time.monotonic(), own_cost(), cost(self._broker), self._swarm.messages[0]


def measure(scenario: Scenario, boxes: int, idle: float) -> Measured:
    """Connect, idle for some seconds, and one wave to all boxes, on a broker of its own.

    Raises:
        WrittenError: it took too long.
    """
    with tempfile.TemporaryDirectory() as folder, mosquitto(Path(folder)) as (port, broker):
        return asyncio.run(_measured(scenario, boxes, idle, port, broker))


async def _measured(scenario: Scenario, boxes: int, idle: float, port: int, broker: int) -> Measured:
    swarm = Swarm(World(port, FastClock(wall_ms(), scenario.speed), scenario), boxes)
    measured, driver = Measured(boxes), Driver(port)
    meter = _Meter(measured, swarm, broker)
    try:
        await swarm.connect()
        await _until(lambda: not swarm.lost and not swarm.is_busy, "not all boxes are connected")
        meter.note("connecting")
        await asyncio.sleep(idle)
        meter.note("idle")
        await driver.connect()
        await driver.publish((device, document_of(device, NEW, 1)) for device in swarm.boxes)
        truths = [box.truth for box in swarm.boxes.values()]
        await _until(lambda: all(truth.end or truth.away for truth in truths), "not every box ended")
        if not await swarm.settle(_PATIENCE):
            raise WrittenError(f"boxes still move after {_PATIENCE:.0f} s")
        meter.note("wave")
        measured.problems = problems(truths)
    finally:
        driver.close()
        await swarm.close()
    return measured


async def _until(condition: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise WrittenError(f"{otherwise} within {_PATIENCE:.0f} s")
        await asyncio.sleep(_LOOK)
