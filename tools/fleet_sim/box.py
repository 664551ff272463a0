"""A simulated box: its connection, what it says, and when; what it takes and runs is decided by the agent's own rules.

It keeps nothing for later: what it would say while it has no connection is lost, counts too, whose totals go on.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from agent.remote.refusals import DocumentRefusedError
from agent.remote.rules import Moment
from contracts.desired import OperatorKeys
from contracts.topics import Channel, Topic
from tools.fleet_sim import messages
from tools.fleet_sim.clock import FastClock
from tools.fleet_sim.codec import Publish
from tools.fleet_sim.crossings import expected, poisson
from tools.fleet_sim.desk import Desk, revisions
from tools.fleet_sim.link import Link, open_link
from tools.fleet_sim.messages import CAMERA, Applied, Identity
from tools.fleet_sim.scenario import Scenario, SimClass, seconds_in
from tools.fleet_sim.truth import BoxTruth
from tools.fleet_sim.updating import SLOT, Updating

_AGAIN = 1.0  # seconds until a box whose connection was lost comes again


@dataclass(frozen=True)
class World:
    """What all boxes share.

    Args:
        port: of the broker.
        clock: what time it is.
        scenario: what happens.
        host: of the broker.
        keys: operators', whose signatures boxes ask for; None where they ask for none.
    """

    port: int
    clock: FastClock
    scenario: Scenario
    host: str = "127.0.0.1"
    keys: OperatorKeys | None = None


class SimBox:
    """One box.

    Args:
        world: what it shares with others.
        kind: its hardware class.
        truth: what it notes, with its id and its fate.
    """

    def __init__(self, world: World, kind: SimClass, truth: BoxTruth) -> None:
        self._world = world
        self._kind = kind
        self.truth = truth
        self.device = truth.device
        self._chance = random.Random(f"{world.scenario.seed} {truth.device}")  # noqa: S311 - no secret
        self._boot = 0
        self._link: Link | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._seq = self._count_seq = self._total = 0
        self._desk = Desk(truth.device, world.keys)
        self._applied = Applied()
        self._updating = Updating(self, kind, truth, world.clock)
        self._up_ms = self._counted_ms = 0
        self.messages_in = self.messages_out = 0

    @property
    def online(self) -> bool:
        """Whether it is connected."""
        return self.truth.online

    @property
    def is_busy(self) -> bool:
        """Whether an update goes on, or something that it said is not confirmed."""
        unconfirmed = self._link is not None and self._link.unconfirmed > 0
        return self.online and (self._updating.goes_on or unconfirmed)

    async def connect(self) -> None:
        """Start, and connect.

        Raises:
            OSError: the broker cannot be reached.
        """
        self._boot += 1
        self._seq = 0
        self._up_ms = self._world.clock()
        self.truth.away = False
        self._updating.restarted()
        await self._open()

    def cut(self) -> None:
        """Lose the power: what was under way stays where it is until the box is back."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self.truth.away, self.truth.online = True, False
        if self._link is not None:
            self._link.cut()
            self._link = None

    def lose_link(self, seconds: float) -> None:
        """Lose the connection alone, for a while: what is under way goes on."""
        if self._link is not None and self.online:
            self._link.cut()
            self._link, self.truth.online = None, False
            self._later("again", seconds, self._again)

    def ping(self) -> None:
        """Keep the connection."""
        if self._link is not None:
            self._link.ping()

    def connected(self) -> None:
        """The broker accepted: say who is here."""
        if self.truth.away:  # the power went while it connected
            self.cut()
            return
        self.truth.online = True
        now_ms = self._world.clock()
        self._say(Channel.STATUS, messages.status(self._me, "online", now_ms, "connected"))
        self._say(Channel.HELLO, messages.hello(self._me, self._running, self._updating.models))
        self._say(Channel.FACTS, messages.facts(self.device, self._kind.facts, self._labels))
        self._report()
        scenario = self._world.scenario
        if "health" not in self._timers:
            self._later("health", scenario.health_seconds * self._chance.random(), self._health)
        if scenario.count_seconds and "counts" not in self._timers:
            self._counted_ms = now_ms
            self._later("counts", scenario.count_seconds * self._chance.uniform(0.5, 1.0), self._count)
        if self._updating.goes_on and "update" not in self._timers:
            self._wait()

    def lost(self) -> None:
        """The broker hung up: come again, as a box does."""
        self._link, self.truth.online = None, False
        if "again" not in self._timers:
            self._later("again", _AGAIN * self._chance.uniform(0.5, 1.5), self._again)

    def came(self, message: Publish) -> None:
        """A desired document came."""
        self.messages_in += 1
        if not message.payload:
            return
        truth, now_ms = self.truth, self._world.clock()
        truth.came_ms.append(now_ms)
        try:
            desired, verdict = self._desk.take(message.payload, Moment(now_ms / 1000, trusted=True))
        except DocumentRefusedError as error:
            truth.problems.append(f"a document was refused: {error.code}")
            return
        finally:
            if (order := revisions(self._desk.came)) is not None:
                truth.got(order, self._desk.came)
            if self._desk.refused is not None:
                self._report()
        if verdict == "new":
            self._applied = Applied(desired.epoch, desired.config_revision, desired.config.digest)
            if SLOT in desired.models:
                truth.wanted = desired.models[SLOT].manifest
                truth.wanted_by = desired.epoch, desired.model_revision
        self._report()
        self._updating.wish(desired)

    def moved(self) -> None:
        """Its update is in another state."""
        self._report()
        if self._updating.goes_on:
            self._wait()

    def died(self) -> None:
        """The new model took the box with it."""
        self.cut()
        if self._kind.silent_for is not None:
            self._later("boot", self._kind.silent_for, self._reboot)

    def _wait(self) -> None:
        attempt = self._updating.attempt
        assert attempt is not None
        seconds = seconds_in(self._world.scenario, attempt.state, self._chance, self._kind)
        self._later("update", seconds, self._updating.step)

    def _report(self) -> None:
        self._seq += 1
        updating = self._updating
        said = messages.reported(
            self._me,
            self._seq,
            self._world.clock(),
            self._running,
            updating.models,
            self._desk.refused,
            updating.attempt,
        )
        self._say(Channel.REPORTED, said)

    def _health(self) -> None:
        now_ms = self._world.clock()
        up = (now_ms - self._up_ms) / 1000
        runs = self._updating.models.get(SLOT)
        said = messages.health(self.device, now_ms, up, runs and runs.artifact, round(up * 30))
        self._say(Channel.HEALTH, said)
        self._later("health", self._world.scenario.health_seconds, self._health)

    def _count(self) -> None:
        now_ms = self._world.clock()
        window_ms, self._counted_ms = (self._counted_ms, now_ms), now_ms
        runs = self._updating.models.get(SLOT)
        if runs is not None:
            scenario = self._world.scenario
            mean = expected(scenario.crossings_per_hour, scenario.daily, *window_ms) * self._seen(now_ms)
            crossed = poisson(mean, self._chance)
            self._count_seq += 1
            self._total += crossed
            said = messages.counts(self._me, self._count_seq, window_ms, crossed, self._total, runs.artifact)
            self._say(Channel.CAMERA_COUNTS, said, CAMERA)
        self._later("counts", self._world.scenario.count_seconds, self._count)

    def _seen(self, now_ms: int) -> float:
        """Which share of what crosses is counted."""
        truth, since = self.truth, self.truth.activated_ms
        if truth.fate != "degrades" or not self._updating.runs_new or since is None:
            return 1.0
        if now_ms - since < self._kind.degrades_after * 1000:
            return 1.0
        truth.harmed(now_ms)
        return self._kind.counts_to

    def _again(self) -> None:
        self._start(self._open())

    def _reboot(self) -> None:
        self._start(self.connect())

    def _start(self, coroutine: object) -> None:
        assert asyncio.iscoroutine(coroutine)
        task = asyncio.get_running_loop().create_task(coroutine)
        task.add_done_callback(lambda done: self.lost() if not done.cancelled() and done.exception() else None)

    async def _open(self) -> None:
        will = Publish(self._topic(Channel.STATUS), messages.status(self._me, "offline", None, "lost"), 1, retain=True)
        wanted, world = self._topic(Channel.DESIRED), self._world
        self._link = await open_link(world.port, lambda: Link(self, self.device, will, wanted), world.host)

    def _say(self, channel: Channel, payload: bytes, name: str | None = None) -> None:
        if self._link is not None:
            self.messages_out += 1
            self._link.publish(self._topic(channel, name), payload, qos=channel.qos, retain=channel.retained)

    def _later(self, what: str, seconds: float, do: Callable[[], None]) -> None:
        if (earlier := self._timers.pop(what, None)) is not None:
            earlier.cancel()

        def now() -> None:
            del self._timers[what]
            do()

        self._timers[what] = asyncio.get_running_loop().call_later(self._world.clock.seconds(seconds), now)

    def _topic(self, channel: Channel, name: str | None = None) -> str:
        if name is None and channel in self._topics:
            return self._topics[channel]
        return str(Topic(self.device, channel, name))

    @cached_property
    def _topics(self) -> dict[Channel, str]:
        often = (Channel.REPORTED, Channel.HEALTH, Channel.STATUS)
        return {channel: str(Topic(self.device, channel)) for channel in often}

    @cached_property
    def _labels(self) -> dict[str, str]:
        sites = self._world.scenario.sites
        site = {"site": f"site-{int(self.device.rpartition('-')[2]) % sites}"} if sites else {}
        return {**self._kind.labels, **site}

    @property
    def _running(self) -> Applied:
        return self._applied._replace(model_revision=self._updating.model_revision)

    @property
    def _me(self) -> Identity:
        return Identity(self.device, f"{self.device}-{self._boot}")
