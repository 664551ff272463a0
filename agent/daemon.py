"""The daemon: the one place that knows all parts, wires them, and turns them over until it is told to stop."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from agent.camera_set import CameraSet
from agent.camera_unit import CameraUnit, SourceOpener
from agent.cameras.table import open_source
from agent.committer import Committer
from agent.counting.clock import ClockWindow, WindowClock
from agent.counting.counter import questions_asked
from agent.counting.states import Question
from agent.disk import Disk
from agent.drawn import DrawnChanges
from agent.drift.keeper import DriftKeeper
from agent.facts import device_facts
from agent.hardware import Hardware
from agent.home_assistant import HomeAssistant
from agent.host import clock_synced
from agent.ledger import Ledger, Origin
from agent.mqtt.bell import Bell
from agent.mqtt.link import MqttLink
from agent.mqtt.ports import Received
from agent.observed import Observed
from agent.page.server import PageServer
from agent.privacy.faces import open_faces
from agent.privacy.redact import Redactor
from agent.remote.checks import RunCheck
from agent.remote.control import RemoteConfig, RemoteSettings
from agent.remote.plan import Plan
from agent.remote.ports import Running
from agent.remote.signing import KEYS_NAME
from agent.remote.store import RemoteStore
from agent.retained import RetainedStates
from agent.rpc.ports import Agent, Trial
from agent.rpc.restart import this_is_managed
from agent.rpc.selftest import box_trials, model_trial
from agent.rpc.server import RpcServer, RpcSettings
from agent.slots import Slots
from agent.store import Store
from agent.telling import Teller
from agent.timings import Timings
from agent.tuning.pace import Frames
from agent.tuning.tuner import Tuner
from contracts.config import AgentConfig, CameraConfig, PageConfig
from contracts.desired import Reported, RunningModel, WrongField
from contracts.errors import DeviceError
from contracts.messages import Hello
from contracts.topics import Channel, Topic

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0  # between two looks at cameras, hardware and what is on probation, at the most
_PATIENCE = 10.0  # seconds that all cameras, and then the lanes, get to end; systemd's own patience is 90


class Daemon:
    """A running agent; `stop` may be called by any thread and by a signal's handler, everything else by one thread.

    It ends with `restarting` set where whoever asks over MQTT wants it started anew.

    Args:
        config: all settings of this box itself.
        keys: the file with the operators' keys; where there is none, documents from afar need no signature.
        opener: opens the cameras' sources.

    Attributes:
        timings: how long it takes to commit a window and hand it to the link.

    Raises:
        BundleError: a bundle cannot be opened.
    """

    def __init__(self, config: AgentConfig, *, keys: Path | None = None, opener: SourceOpener = open_source) -> None:
        self._local = self._config = config
        self._keys = keys
        self._started = time.monotonic()
        self._boot_id = uuid.uuid4().hex
        self._bell = Bell()
        self.stopped = False
        self.restarting = False
        self._facts = device_facts()
        self._slots = Slots(config, self._facts, self._publish_facts)
        self._hardware = Hardware(config)
        self._cameras = CameraSet(self._slots, config.device, self._hardware.paced(opener))
        turn = threading.Lock()
        self._tuners = [Tuner(slot.ground, slot.serving, self._frames, turn=turn) for slot in self._slots.values()]
        self.timings = Timings()
        self._closing: list[Callable[[], object]] = [self._bell.close]  # called in reverse, as far as the start came

    @property
    def units(self) -> Sequence[CameraUnit]:
        """The cameras."""
        return self._cameras.units

    def start(self) -> None:
        """Open everything: cameras at once, in their own threads, while the models load.

        Where the best artifact needs an engine that is to be built, another one serves until then, or none.

        Raises:
            DocumentError: a camera asks for what its model cannot give.
            NoArtifactFitsError: no artifact fits and works here.
            StorageError: the state directory cannot be written, or another agent has it.
        """
        self._store = self._open_store()
        self._closing.append(self._store.close)
        self._remote = self._open_remote()
        config = self._config = self._remote.config
        if config.log_level != self._local.log_level:
            _set_log_level(config)
        self._hardware.start()
        self._closing.append(self._hardware.close)
        self._closing.append(partial(self._cameras.close, _PATIENCE))
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
            hello=self._hello,
            receiver=self._receive,
        )
        self._committer = Committer(self._ledger, self._committed, self.timings)
        self._closing.append(self._committer.close)
        self._teller = self._tell()
        self._closing.append(partial(self._slots.stop, _PATIENCE))
        self._slots.start()
        self._publish_facts()
        self._retained = RetainedStates(self._link, self._store, config.device)
        self._retained.update(camera.id for camera in config.camera)
        self._home_assistant = HomeAssistant(self._link, self._store)
        self._home_assistant.update(config, self._slots.specs)
        self._link.start()
        self._closing.append(self._link.stop)
        self._drawn = DrawnChanges(self._remote, self._local, self._bell.ring)
        self._clock = WindowClock(config.window_seconds, time.time(), time.monotonic())
        self._remote.start(self, self._report)
        observed = self._observe()
        self._answer_requests(observed)
        if config.page is not None:
            self._show(config.page, observed)

    def run(self, *, until_end: bool) -> None:
        """Close windows and publish until told to stop."""
        for slot, tuner in zip(self._slots.values(), self._tuners, strict=True):
            if slot.ground.wanted.tune and not until_end:
                tuner.start()
        try:
            self._turn_over(until_end=until_end)
        finally:
            self._finish()

    def stop(self) -> None:
        """Have `run` come to its end."""
        self.stopped = True
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
            _set_log_level(plan.new)
        if "labels" in plan.device:
            self._publish_facts()
        self._drift.watch([unit.drift for unit in self.units])
        self._retained.update(camera.id for camera in plan.new.camera)
        self._home_assistant.update(plan.new, self._slots.specs)
        return wrong

    def running(self) -> Running:
        """How what was applied last does; see `agent.remote.ports.Applier`."""
        models = {name: RunningModel(artifact_digest=digest) for name, digest in self._slots.digests.items()}
        unserved = [WrongField(path=f"models.{name}", problem=str(why)) for name, why in self._slots.problems().items()]
        return Running(self._link.connected, [*unserved, *self._cameras.problems()], models=models)

    def _open_store(self) -> Store:
        config = self._local
        daily_mb = config.outbox.daily_write_mb
        return Store.open(
            Path(config.state_dir),
            max_reports=config.outbox.max_reports,
            daily_bytes=None if daily_mb is None else daily_mb * 1e6,
        )

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
        )

    def _open_remote(self) -> RemoteConfig:
        settings = RemoteSettings(
            boot_id=self._boot_id,
            keys=self._keys_file,
            check=RunCheck(self._slots.specs),
            wake=self._bell.ring,
        )
        return RemoteConfig(self._local, RemoteStore.under(Path(self._local.state_dir)), settings)

    def _questions(self, camera: CameraConfig) -> Sequence[Question]:
        """What a camera's model answers, where it classifies."""
        return questions_asked(self._slots[camera.model].spec)

    @property
    def _keys_file(self) -> Path:
        return self._keys or Path(self._local.state_dir) / KEYS_NAME

    def _observe(self) -> Observed:
        privacy = self._config.privacy
        faces = None
        if privacy.faces is not None:
            faces = open_faces(Path(privacy.faces), self._facts, self._slots.engines)
            self._closing.append(faces.close)
        return Observed(
            specs=self._slots.specs,
            boot_id=self._boot_id,
            cameras=self._cameras,
            ledger=self._ledger,
            drawn=self._drawn,
            health=lambda: self._teller.health(time.monotonic()),
            facts=self._teller.what_it_is,
            wall=time.time,
            redact=Redactor(privacy, lambda: self._config.camera, faces),
        )

    def _answer_requests(self, observed: Observed) -> None:
        config = self._config
        agent = Agent(
            boot_id=self._boot_id,
            snapshots=observed,
            redact=observed.redact,
            trials=self._trials,
            restart=self._restart,
            uptime=lambda: time.monotonic() - self._started,
            managed=this_is_managed(),
        )
        settings = RpcSettings(config.device, config.rpc, self._keys_file, Disk(Path(config.state_dir) / "rpc"))
        server = RpcServer(settings, self._link, agent)
        server.start()
        self._closing.append(server.close)

    def _restart(self) -> None:
        self.restarting = True
        self.stop()

    def _trials(self) -> list[Trial]:
        engines = self._slots.engines
        models = [model_trial(one.name, one.bundle, engines, one.form) for one in self._slots.values()]
        return box_trials(models, Path(self._config.state_dir), self.units)

    def _show(self, config: PageConfig, observed: Observed) -> None:
        """Open the page; what stands against it is said, and counting goes on."""
        password = self._config.broker.password
        page = PageServer(config, observed.ports(), [password.get_secret_value()] if password else [])
        try:
            page.start()
        except DeviceError as error:
            _log.error("the page is not shown: %s", error)
            return
        self._closing.append(page.close)

    def _frames(self) -> Frames:
        """Of all cameras since the start."""
        found = [unit.frames_so_far() for unit in self.units]
        return Frames(sum(one.seen for one in found), sum(one.late for one in found))

    def _turn_over(self, *, until_end: bool) -> None:
        state_at = health_at = -math.inf
        while not self.stopped:
            now = time.monotonic()
            self._slots.check(patient=not until_end)
            self._hardware.look(now)
            self._cameras.look(now)
            self._turn()
            self._remote.turn()
            self._drawn.turn()
            if now >= state_at + self._config.state_seconds:
                self._publish_states()
                state_at = now
            if now >= health_at + self._config.health_seconds:
                self._link.state(Topic(self._config.device, Channel.HEALTH), self._teller.health(now))
                health_at = now
            if until_end and self._cameras.ended:
                break
            due = (
                self._clock.window.ends,
                state_at + self._config.state_seconds,
                health_at + self._config.health_seconds,
            )
            self._bell.wait(min(*due, now + _LOOK_SECONDS) - time.monotonic())

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
        for tuner in self._tuners:
            tuner.stop(_PATIENCE)
        self._cameras.close(_PATIENCE)
        self._slots.stop(_PATIENCE)
        self._turn()
        now = time.monotonic()
        self._commit(self._clock.window.cut(now))
        self._committer.close()
        self._publish_states()
        self._link.state(Topic(self._config.device, Channel.HEALTH), self._teller.health(now))
        self._link.stop()

    def _commit(self, window: ClockWindow) -> None:
        self._committer.submit(self._cameras.close_window(window))

    def _receive(self, message: Received) -> None:
        """What comes on ``desired``; called by the link's thread."""
        self._remote.offer(message.payload)

    def _report(self, report: Reported) -> None:
        self._link.state(Topic(self._config.device, Channel.REPORTED), report)

    def _committed(self) -> None:
        self._link.wake()
        self._drift.save()

    def _publish_states(self) -> None:
        wall = time.time()
        for unit in self.units:
            state = unit.state(self._ledger.totals, wall)
            self._link.state(Topic(self._config.device, Channel.CAMERA_STATE, unit.id), state)

    def _hello(self) -> Hello:
        return self._teller.hello()

    def _publish_facts(self) -> None:
        self._link.state(Topic(self._config.device, Channel.FACTS), self._teller.what_it_is())


def _set_log_level(config: AgentConfig) -> None:
    logging.getLogger().setLevel(config.log_level.upper())
