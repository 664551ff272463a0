"""One run of a scenario: a fleet, a rollout, a controller that dies in the middle, and what came of it."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sqlalchemy import func, select

from contracts.errors import WrittenError
from contracts.manifest import Artifact
from fleet.clock import wall_ms
from fleet.rollout.creating import create_rollout
from fleet.rollout.release import RolloutRelease
from fleet.rollout.spec import RolloutSpec, parse_waves
from fleet.store import rollouts as store
from fleet.store.audit import Author
from fleet.store.database import Database
from fleet.store.tables import DEVICE, LEASE, ROLLOUT_DEVICE, ROLLOUT_EVENT
from tools.fleet_sim.box import World
from tools.fleet_sim.clock import FastClock
from tools.fleet_sim.scenario import Scenario
from tools.fleet_sim.servers import ControllerProcess, Cost
from tools.fleet_sim.swarm import Swarm
from tools.fleet_sim.truth import harm, problems
from tools.fleet_sim.updating import NEW

_LOOK = 0.25  # seconds between two looks
_BACK_AFTER = 3.0  # seconds until a controller that was killed is started again
_AUTHOR = Author("fleet-sim", "cli")
_TARGETS = (("jetson-orin-jp6", "tensorrt"), ("x86-openvino", "openvino"), ("arm64-tflite", "tflite"))
RELEASE = RolloutRelease(
    NEW.name,
    NEW.version,
    NEW.manifest,
    tuple(
        Artifact(
            id=f"{target}/fp16",
            target=target,
            backend=backend,
            precision="fp16",
            files=(),
            entry="model",
            requires=(),
            inputs=(),
            outputs=(),
        )
        for target, backend in _TARGETS
    ),
)


@dataclass
class Result:
    """What came of a run; times in the machine's seconds, but for those in ``events``.

    Args:
        scenario: its name.
        boxes: how many.
        enrolled: until the controller knew all of them.
        converged: from the rollout's making until no box that can be reached is to do anything more.
        state: of the rollout then.
        classes: of hardware, their states and waves.
        exposed: boxes whose cameras the new model counted.
        harmed: of them, those that it did harm to.
        harmed_before_halt: of them, those before the first halt; all where there was none.
        to_halt: from the first harm until the halt, in the scenario's seconds; None where either was not.
        to_first_harm: likewise, from the making of the rollout.
        sent: messages of boxes in all, and got, from the rollout's making on.
        got: documents that boxes got.
        costs: of programs, from the rollout's making on.
        enrolling: the same, until then.
        killed_after: when a controller was killed, from the rollout's making.
        problems: what must never be.
    """

    scenario: str
    boxes: int
    enrolled: float = 0.0
    converged: float | None = None
    state: str = ""
    classes: dict[str, str] = field(default_factory=dict)
    exposed: int = 0
    harmed: int = 0
    harmed_before_halt: int = 0
    to_first_harm: float | None = None
    to_halt: float | None = None
    sent: int = 0
    got: int = 0
    costs: dict[str, Cost] = field(default_factory=dict)
    enrolling: dict[str, Cost] = field(default_factory=dict)
    killed_after: float | None = None
    problems: list[str] = field(default_factory=list)

    def document(self) -> dict[str, object]:
        """As JSON has it."""
        return asdict(self)


@dataclass(frozen=True)
class Stage:
    """What a run takes place on.

    Args:
        port: of the broker.
        address: of the database.
        folder: for logs.
        costs: of the programs beside the controllers.
        controllers: how many work at once.
        patience: seconds that it may take.
        profile: folder that controllers write profiles to.
    """

    port: int
    address: str
    folder: Path
    costs: Callable[[], dict[str, Cost]]
    controllers: int = 2
    patience: float = 600.0
    profile: Path | None = None


class Run:
    """See the module.

    Args:
        stage: where.
        scenario: what.
        boxes: how many.
    """

    def __init__(self, stage: Stage, scenario: Scenario, boxes: int) -> None:
        self._stage = stage
        self._scenario = scenario
        self._clock = FastClock(wall_ms(), scenario.speed)
        self._swarm = Swarm(World(stage.port, self._clock, scenario), boxes)
        self._database = Database(stage.address)
        self._controllers = [self._controller(number) for number in range(stage.controllers)]
        self._result = Result(scenario.name, boxes)

    async def go(self) -> Result:
        """Do it.

        Raises:
            WrittenError: it took too long.
        """
        try:
            for controller in self._controllers:
                controller.start()
            await self._enrol()
            before = self._costs()
            self._result.enrolling = before
            await self._roll_out()
            after = self._costs()
            self._result.costs = {name: after[name] - before[name] for name in after}
        finally:
            await self._swarm.close()
            for controller in self._controllers:
                controller.end(signal.SIGTERM)
            self._database.close()
        return self._result

    async def _enrol(self) -> None:
        began = time.monotonic()
        await self._swarm.connect()
        await self._until(lambda: self._known(online=True) == len(self._swarm.boxes), "not all boxes were taken in")
        self._result.enrolled = time.monotonic() - began
        away = self._swarm.leavers()
        await asyncio.sleep(self._clock.seconds(self._scenario.past_seconds))
        for box in away:
            box.cut()
        await self._until(lambda: self._known(online=False) >= len(away), "it is not known which boxes are away")
        self._away = away

    async def _roll_out(self) -> None:
        spec = _spec(self._scenario)
        sent, got = self._swarm.messages
        began, began_ms = time.monotonic(), self._clock()
        number, _ = await asyncio.to_thread(create_rollout, self._database, spec, RELEASE, _AUTHOR, self._clock())
        back = asyncio.create_task(self._swarm.bring_back(self._away)) if self._away else None
        kill = asyncio.create_task(self._kill(number, began)) if self._scenario.fraction else None
        await self._until(lambda: self._is_over(number, [back, kill]), "it did not come to an end")
        self._result.converged = time.monotonic() - began
        now_sent, now_got = self._swarm.messages
        self._result.sent, self._result.got = now_sent - sent, now_got - got
        self._conclude(number, began_ms)

    async def _kill(self, number: int, began: float) -> None:
        """Kill the controller that talks to the broker once some boxes have the release, and start it again."""
        enough = max(1, int(self._scenario.fraction * len(self._swarm.boxes)))
        while sum(box.truth.activated_ms is not None for box in self._swarm.boxes.values()) < enough:
            await asyncio.sleep(_LOOK)
            if await asyncio.to_thread(self._classes_are_over, number):
                break  # halted before: it is killed all the same, while boxes go back
        pid = await asyncio.to_thread(self._leader)
        for controller in self._controllers:
            if controller.pid == pid:
                self._result.killed_after = time.monotonic() - began
                await asyncio.to_thread(controller.end, signal.SIGKILL)
                await asyncio.sleep(_BACK_AFTER)
                controller.start()

    def _leader(self) -> int | None:
        with self._database.reading() as connection:
            holder = connection.scalar(select(LEASE.c.holder))
        return None if holder is None else int(holder.split(":")[-2])

    def _is_over(self, number: int, tasks: Sequence[asyncio.Task[None] | None]) -> bool:
        if any(task is not None and not task.done() for task in tasks) or not self._classes_are_over(number):
            return False
        table = ROLLOUT_DEVICE.c
        query = select(table.device, table.hardware_class, table.state).where(
            table.rollout == number, table.state.in_(("offered", "reverting", "waiting"))
        )
        with self._database.reading() as connection:
            states = {each.hardware_class: each.state for each in store.classes(connection, number)}
            rows = connection.execute(query).all()
        open_boxes = {
            device
            for device, name, state in rows
            if state == "reverting" or states[name] == "reverting" or (state == "offered" or states[name] == "passed")
        }
        return not any(self._swarm.boxes[device].online for device in open_boxes) and not self._swarm.is_busy

    def _classes_are_over(self, number: int) -> bool:
        with self._database.reading() as connection:
            classes = store.classes(connection, number)
        return all(each.state in {"passed", "halted", "reverting", "reverted", "aborted"} for each in classes)

    def _conclude(self, number: int, began_ms: int) -> None:
        result = self._result
        with self._database.reading() as connection:
            rollout = store.get(connection, number)
            classes = store.classes(connection, number)
            halts = select(func.min(ROLLOUT_EVENT.c.at_ms)).where(
                ROLLOUT_EVENT.c.rollout == number, ROLLOUT_EVENT.c.what == "halted"
            )
            halted_ms = connection.scalar(halts)
        truths = [box.truth for box in self._swarm.boxes.values()]
        found = harm(truths, halted_ms)
        result.state = rollout.state if rollout is not None else "gone"
        result.classes = {
            each.hardware_class: f"{each.state} in wave {each.wave + 1}: {each.reason}" for each in classes
        }
        result.exposed, result.harmed = found.exposed, found.harmed
        result.harmed_before_halt = found.harmed_before
        if found.first_ms is not None:
            result.to_first_harm = (found.first_ms - began_ms) / 1000
            result.to_halt = None if halted_ms is None else (halted_ms - found.first_ms) / 1000
        result.problems = problems(truths)

    def _known(self, *, online: bool) -> int:
        told = DEVICE.c.known.contains('"reported_seq":') & (DEVICE.c.hardware_class != "unknown")
        query = select(func.count()).select_from(DEVICE).where(DEVICE.c.online.is_(online), told)
        with self._database.reading() as connection:
            return connection.scalar(query) or 0

    def _costs(self) -> dict[str, Cost]:
        controllers = [controller.cost for controller in self._controllers]
        together = Cost(sum(each.cpu_seconds for each in controllers), max(each.peak_mb for each in controllers))
        return {"controllers": together, **self._stage.costs()}

    async def _until(self, condition: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + self._stage.patience
        while not await asyncio.to_thread(condition):
            if time.monotonic() > deadline:
                raise WrittenError(f"{self._scenario.name}: {otherwise} in {self._stage.patience:.0f} s")
            await asyncio.sleep(_LOOK)

    def _controller(self, number: int) -> ControllerProcess:
        options = [
            *("--port", str(self._stage.port), "--database", self._stage.address),
            *("--began-ms", str(self._clock.began_ms), "--speed", str(self._clock.speed)),
        ]
        if self._stage.profile is not None:
            folder = self._stage.profile / str(number)
            folder.mkdir(parents=True, exist_ok=True)
            options += ["--profile", str(folder)]
        return ControllerProcess(options, self._stage.folder / f"controller-{number}.log")


def _spec(scenario: Scenario) -> RolloutSpec:
    usual: dict[str, object] = {
        "model": NEW.name,
        "version": NEW.version,
        "manifest": NEW.manifest,
        "artifacts": (NEW.artifact,),
        "targets": RELEASE.targets,
        "soak_seconds": 1,
        "silent_after_seconds": 60,
        "on_halt": "revert",
        "approval": False,
    }
    waves = str(scenario.rollout.get("waves", "1,5%,25%,100%"))
    return RolloutSpec.model_validate(usual | scenario.rollout | {"waves": parse_waves(waves)})
