"""The daemon: the one place that knows all parts, wires them, and turns them over until it is told to stop."""

from __future__ import annotations

import contextlib
import logging
import math
import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from agent.camera_set import CameraSet
from agent.camera_unit import CameraUnit, SourceOpener
from agent.cameras.table import open_source
from agent.changeover import Changeover
from agent.committer import Committer
from agent.counting.clock import ClockWindow, WindowClock
from agent.counting.counter import questions_asked
from agent.counting.states import Question
from agent.drawn import DrawnChanges
from agent.drift.keeper import DriftKeeper
from agent.ending import Ending
from agent.errands import Errands
from agent.facts import device_facts
from agent.front import Front, Inside
from agent.hardware import Hardware
from agent.home_assistant import HomeAssistant
from agent.host import clock_synced, resident_mb
from agent.ledger import Ledger, Origin
from agent.mqtt.bell import Bell
from agent.mqtt.link import MqttLink
from agent.remote.checks import RunCheck
from agent.remote.control import RemoteConfig, RemoteSettings
from agent.remote.plan import Plan
from agent.remote.ports import Running
from agent.remote.store import RemoteStore
from agent.retained import RetainedStates
from agent.service.heart import Pulse
from agent.service.pulse import take_pulse
from agent.store import Store
from agent.telling import Teller
from agent.timings import Timings
from agent.tuners import Tuners
from agent.tuning.pace import Frames
from agent.update.witness import Vitals, Witness
from agent.updating import awaits_operator_keys, open_slots, open_updates, operator_keys_file, start_updates
from contracts.config import AgentConfig, CameraConfig
from contracts.desired import WrongField
from contracts.errors import NoArtifactFitsError
from contracts.health import Telemetry
from contracts.topics import Channel, Topic

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0  # between two looks at cameras, hardware and what is on probation, at the most


class Daemon:
    """A running agent; `stop` may be called by any thread and by a signal's handler, everything else by one thread.

    It ends with `restarting` set where whoever asks over MQTT wants it started anew.

    Args:
        config: all settings of this box itself.
        keys: the file with the operators' keys; where there is none, documents from afar need no signature.
        opener: opens the cameras' sources.
        problems: what somebody has to see to about the configuration.

    Attributes:
        timings: how long it takes to commit a window and hand it to the link.
        end: how long all that ends gets.
        turned: called with the monotonic seconds each time that the daemon comes round, once `start` is through.

    Raises:
        BundleError: a bundle cannot be opened.
    """

    def __init__(
        self,
        config: AgentConfig,
        *,
        keys: Path | None = None,
        opener: SourceOpener = open_source,
        problems: tuple[str, ...] = (),
    ) -> None:
        self._local = self._config = config
        self._keys, self._opener, self._problems = keys, opener, problems
        self._started = time.monotonic()
        self._boot_id = uuid.uuid4().hex
        self._bell = Bell()
        self.stopped = False
        self.restarting = False
        self._facts = device_facts()
        self._hardware = Hardware(config)
        self._errands = Errands(self._bell.ring)
        self.timings = Timings()
        self.end = Ending()
        self.turned: Callable[[float], None] = lambda _: None
        self._closing: list[Callable[[], object]] = [self._bell.close]  # called in reverse, as far as the start came

    @property
    def units(self) -> Sequence[CameraUnit]:
        """The cameras."""
        return self._cameras.units

    def pulse(self, now: float) -> Pulse:
        """How it does, for a service manager; ``now`` in monotonic seconds."""
        return take_pulse(self._slots, self.units, connected=self._link.connected, now=now)

    def start(self) -> None:
        """Open everything: cameras at once, in their own threads, while the models load.

        Where the best artifact needs an engine that is to be built, another one serves until then, or none.

        Raises:
            DocumentError: a camera asks for what its model cannot give.
            NoArtifactFitsError: no artifact fits and works here.
            StorageError: the state directory cannot be written, or another agent has it.
        """
        self._store = Store.of(self._local)
        self._closing.append(self._store.close)
        self._updates = open_updates(self._local, lambda: self._remote.try_again())  # noqa: PLW0108 - it is opened later
        self._slots = open_slots(self._updates, self._local, self._facts, self._publish_facts)
        self._cameras = CameraSet(self._slots, self._local.device, self._hardware.paced(self._opener))
        self._tuners = Tuners(self._slots, self._frames)
        self._remote = self._open_remote()
        config = self._config = self._remote.config
        if config.log_level != self._local.log_level:
            logging.getLogger().setLevel(config.log_level.upper())
        self._hardware.start()
        self._closing.append(self._hardware.close)
        self._closing.append(lambda: self._cameras.close(self.end.part()))
        self._cameras.open(config.camera)
        self._drift = DriftKeeper(self._store, [unit.drift for unit in self.units])
        self._ledger = Ledger(
            self._store, Origin(config.device, self._boot_id), config.camera, clock_synced, self._questions
        )
        self._link = MqttLink(
            config.broker,
            config.device,
            self._boot_id,
            self._store,
            hello=lambda: self._teller.hello(),  # noqa: PLW0108 - it is made later
            receiver=lambda message: self._remote.offer(message.payload),
        )
        self._committer = Committer(self._ledger, self._committed, self.timings)
        self._closing.append(lambda: self._committer.close(self.end.disk()))
        self._teller = self._tell()
        self._closing.append(lambda: self._slots.stop(self.end.part()))
        self._start_models()
        self._publish_facts()
        self._retained = RetainedStates(self._link, self._store, config.device)
        self._retained.update(camera.id for camera in config.camera)
        self._home_assistant = HomeAssistant(self._link, self._store)
        self._home_assistant.update(config, self._slots.specs)
        self._link.start()
        self._closing.append(lambda: self._link.stop(self.end.goodbye()))
        self._drawn = DrawnChanges(self._remote, self._local, self._bell.ring)
        self._clock = WindowClock(config.window_seconds, time.time(), time.monotonic())
        self._remote.start(self, lambda said: self._link.state(Topic(self._config.device, Channel.REPORTED), said))
        self._start_updates()
        self._closing += [lambda: self._updates.stop(self.end.part()), self._errands.close]
        self._front = self._open_front()
        self._closing.append(self._front.close)
        self._front.open((*self._local.broker.secrets, *config.broker.secrets))

    def run(self, *, until_end: bool) -> None:
        """Close windows and publish until told to stop."""
        if not until_end:
            self._tuners.start()
        try:
            self._turn_over(until_end=until_end)
        finally:
            self._finish()

    def stop(self) -> None:
        """Have `run` come to its end."""
        self.stopped = True
        self.end.begin()
        self._bell.ring()

    def close(self) -> None:
        """End everything in the reverse order of starting; safe at any point of it."""
        with contextlib.ExitStack() as stack:  # one that fails does not keep the others from closing
            for close in self._closing:
                stack.callback(close)
            self._closing.clear()

    def apply(self, plan: Plan) -> Sequence[WrongField]:
        """Have another configuration run; see `agent.remote.ports.Applier`."""
        if plan.connectivity:  # first: whatever fails after it, the connection that was asked for is the one judged
            self._front.hide(plan.new.broker.secrets)
            self._link.reconfigure(plan.new.broker)
        self._turn()  # the document's way to the disk may have taken the window's end
        window = self._clock.window
        counts, wrong = self._cameras.follow(plan, window)
        self._config = plan.new
        if "window_seconds" in plan.device:
            now = time.monotonic()
            touched = [camera.id for camera in (*plan.start, *plan.restart, *plan.change)]
            counts += self._cameras.close_window(window.cut(now), but=touched)
            self._clock = WindowClock(plan.new.window_seconds, time.time(), now)
        self._committer.submit(counts, plan.new.camera)
        if "log_level" in plan.device:
            logging.getLogger().setLevel(plan.new.log_level.upper())
        if "labels" in plan.device:
            self._publish_facts()
        self._drift.watch([unit.drift for unit in self.units])
        self._retained.update(camera.id for camera in plan.new.camera)
        self._home_assistant.update(plan.new, self._slots.specs)
        return wrong

    def running(self) -> Running:
        """How what was applied last does; see `agent.remote.ports.Applier`."""
        unserved = [WrongField(path=f"models.{name}", problem=str(why)) for name, why in self._slots.problems().items()]
        problems = [*unserved, *self._cameras.problems()]
        revision = self._updates.running().model_revision
        return Running(self._link.connected, problems, revision, self._slots.running, self._updates.report())

    def _start_models(self) -> None:
        """Where none of an installed model's files runs here any more, others of it may be fetched."""
        try:
            self._slots.start()
        except NoArtifactFitsError as error:
            if self._updates.serves_nothing(str(error)) or not self._updates.can_refit(self._config):
                raise
            _log.error("%s; nothing is counted until other files of the models were fetched", error)

    def _tell(self) -> Teller:
        return Teller(
            config=lambda: self._config,
            boot_id=self._boot_id,
            started=self._started,
            facts=self._facts,
            slots=self._slots,
            cameras=self._cameras,
            hardware=self._hardware,
            store=self._store,
            ledger=self._ledger,
            committer=self._committer,
            remote=self._remote,
            timings=self.timings,
            broker=self._link.health,
            requests_refused=lambda: self._front.requests_refused,
            model_revision=lambda: self._updates.running().model_revision,
            update_problems=lambda: self._updates.problems,
            config_problems=self._problems,
        )

    def _open_remote(self) -> RemoteConfig:
        settings = RemoteSettings(
            boot_id=self._boot_id,
            keys=operator_keys_file(self._local, self._keys),
            keys_awaited=partial(awaits_operator_keys, self._local),
            check=RunCheck(lambda: self._slots.specs),
            wake=self._bell.ring,
        )
        return RemoteConfig(self._local, RemoteStore.under(Path(self._local.state_dir)), settings)

    def _questions(self, camera: CameraConfig) -> Sequence[Question]:
        """What a camera's model answers, where it classifies."""
        return questions_asked(self._slots[camera.model].spec)

    def _restart(self) -> None:
        self.restarting = True
        self.stop()

    def _open_front(self) -> Front:
        inside = Inside(
            config=lambda: self._config,
            facts=self._facts,
            keys=operator_keys_file(self._local, self._keys),
            keys_awaited=partial(awaits_operator_keys, self._local),
            slots=self._slots,
            cameras=self._cameras,
            ledger=self._ledger,
            drawn=self._drawn,
            teller=self._teller,
            link=self._link,
            learn_anew=self._drift.begin_anew,
            restart=self._restart,
            end=self.end,
        )
        return Front(inside)

    def _frames(self) -> Frames:
        """Of all cameras since the start."""
        found = [unit.frames_so_far() for unit in self.units]
        return Frames(sum(one.seen for one in found), sum(one.late for one in found))

    def _turn_over(self, *, until_end: bool) -> None:
        state_at = health_at = -math.inf
        while not self.stopped:
            now = time.monotonic()
            self.turned(now)
            if not self._updates.can_refit(self._config):
                self._slots.check(patient=not until_end)
            self._hardware.look(now)
            self._cameras.look(now)
            self._turn()
            self._remote.turn()
            if not self._remote.confirming:
                self._updates.offer(self._remote.desired)
            self._updates.look()
            self._witness.look()
            self._errands.turn()
            self._drawn.turn()
            if now >= state_at + self._config.state_seconds:
                self._publish_states()
                state_at = now
            if now >= health_at + self._config.health_seconds:
                self._link.state(Topic(self._config.device, Channel.HEALTH), self._teller.health(now))
                health_at = now
            if until_end and self._cameras.ended:
                break
            due = min(self._clock.window.ends, now + _LOOK_SECONDS, state_at + self._config.state_seconds)
            self._bell.wait(min(due, health_at + self._config.health_seconds) - time.monotonic())

    def _turn(self) -> None:
        """Close the window that is over, and those that a standstill left behind."""
        clock = self._clock
        while clock.is_over(time.monotonic()):
            self._commit(clock.window)
            jump = clock.turn(time.time(), time.monotonic())  # both now: time between them would be taken for a jump
            if jump:
                _log.warning("the wall clock jumped by %.1f s; windows follow it from here", jump)

    def _finish(self) -> None:
        """Count what is under way, close the window early, and give the broker a moment to take it."""
        self._updates.stop(0.0)  # told first: what the end keeps it from is no failure of a model
        self._errands.close()
        self._updates.stop(self.end.part())
        self._tuners.stop(self.end.part())
        self._cameras.close(self.end.part())
        self._slots.stop(self.end.part())
        self._turn()
        now = time.monotonic()
        self._commit(self._clock.window.cut(now))
        self._committer.close(self.end.disk())
        self._publish_states()
        self._link.state(Topic(self._config.device, Channel.HEALTH), self._teller.health(now))
        self._link.stop(self.end.goodbye())

    def _commit(self, window: ClockWindow) -> None:
        counts = self._cameras.close_window(window)
        self._witness.note_windows(counts)
        self._committer.submit(counts)

    def _start_updates(self) -> None:
        self._witness = Witness(self._vitals, lambda: self._config.window_seconds)
        box = Changeover(
            facts=self._facts,
            current=lambda: self._config,
            slots=self._slots,
            cameras=self._cameras,
            tuners=self._tuners,
            errands=self._errands,
            window=self._window_now,
            commit=self._committer.submit,
            changed=self._models_changed,
        )
        start_updates(self._updates, box, self._witness, self._telemetry, self._bell.ring)

    def _telemetry(self) -> Telemetry | None:
        return self._hardware.telemetry(time.monotonic())

    def _vitals(self) -> Vitals:
        return Vitals(
            cameras=self.units,
            rss_mb=resident_mb(),
            telemetry=self._telemetry(),
            acknowledged=self._link.acknowledged,
            connected=self._link.connected,
        )

    def _window_now(self) -> ClockWindow:
        self._turn()
        return self._clock.window

    def _models_changed(self, names: Sequence[str]) -> None:
        """Slots have other models."""
        for name in names:
            self._tuners.renew(name)
        self._drift.watch([unit.drift for unit in self.units])
        self._home_assistant.update(self._config, self._slots.specs)

    def _committed(self) -> None:
        self._link.wake()
        self._drift.save()

    def _publish_states(self) -> None:
        wall = time.time()
        for unit in self.units:
            state = unit.state(self._ledger.totals, wall)
            self._link.state(Topic(self._config.device, Channel.CAMERA_STATE, unit.id), state)

    def _publish_facts(self) -> None:
        self._link.state(Topic(self._config.device, Channel.FACTS), self._teller.what_it_is())
