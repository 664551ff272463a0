"""The daemon: the one place that knows all parts, wires them, and turns them over until it is told to stop."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path

from agent.camera_unit import CameraUnit, SourceOpener
from agent.cameras.table import open_source
from agent.committer import Committer
from agent.counting.clock import ClockWindow, WindowClock, utc_text
from agent.facts import device_facts
from agent.home_assistant import HomeAssistant
from agent.host import clock_synced, resident_mb
from agent.lanes import LanePool
from agent.ledger import Ledger, Origin
from agent.mqtt.link import MqttLink
from agent.observed import Observed
from agent.page.server import PageServer
from agent.serving import Serving
from agent.store import Store
from agent.timings import Timings
from agent.tuning.ground import Ground
from agent.tuning.pace import Frames
from agent.tuning.tuner import Tuner
from contracts.config import AgentConfig, PageConfig
from contracts.errors import DeviceError, StorageError
from contracts.facts import FactValue
from contracts.messages import FactsMessage, Health, Hello
from contracts.topics import Channel, Topic
from contracts.version import VERSION
from runtime.bundle import open_bundle

_log = logging.getLogger(__name__)

_PATIENCE = 10.0  # seconds that all cameras, and then the lanes, get to end; systemd's own patience is 90


def run_until_stopped(config: AgentConfig, *, until_end: bool = False) -> None:
    """Run until SIGTERM or SIGINT, or until every source has ended.

    Args:
        config: all settings.
        until_end: stop when every source has ended.

    Raises:
        EdgetallyError: it cannot start: settings, bundle, artifact or disk; or, until the end, a source broke.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    daemon = Daemon(config)
    try:
        daemon.start()
        daemon.run(stop, until_end=until_end)
        broken = [unit.problem for unit in daemon.units if unit.problem]
    finally:
        daemon.close()
    if until_end and broken and not stop.is_set():
        raise DeviceError("; ".join(broken))


class Daemon:
    """A running agent.

    Args:
        config: all settings.
        opener: opens the cameras' sources.

    Attributes:
        units: the cameras.
        timings: how long it takes to commit a window and hand it to the link.

    Raises:
        BundleError: the bundle cannot be opened.
        DocumentError: a camera asks for what the model cannot give.
        StorageError: the state directory cannot be written.
    """

    def __init__(self, config: AgentConfig, opener: SourceOpener = open_source) -> None:
        self._config = config
        self._started = time.monotonic()
        self._boot_id = uuid.uuid4().hex
        self._facts = device_facts()
        self._bundle = open_bundle(Path(config.bundle))
        self._ready = threading.Condition()
        spec = self._bundle.manifest.model
        self.units = [CameraUnit(camera, spec, self._ready, config.device, opener) for camera in config.camera]
        ground = Ground.of(config, self._bundle, self._facts)
        self._serving = self._make_serving(ground)
        self._tuner = Tuner(ground, self._serving, self._frames)
        self.timings = Timings()
        self._closing: list[Callable[[], object]] = []  # called in reverse, as far as the start came

    def start(self) -> None:
        """Open everything: cameras at once, in their own threads, while the model loads.

        Where the best artifact needs an engine that is to be built, another one serves until then, or none.

        Raises:
            NoArtifactFitsError: no artifact fits and works here.
            StorageError: the state directory cannot be written, or another agent has it.
        """
        config = self._config
        daily_mb = config.outbox.daily_write_mb
        self._store = Store.open(
            Path(config.state_dir),
            max_reports=config.outbox.max_reports,
            daily_bytes=None if daily_mb is None else daily_mb * 1e6,
        )
        self._closing.append(self._store.close)
        for unit in self.units:
            unit.start()
            self._closing.append(unit.close)
        self._ledger = Ledger(self._store, Origin(config.device, self._boot_id), config.camera, clock_synced)
        self._link = MqttLink(config.broker, config.device, self._boot_id, self._store, hello=self._hello)
        self._closing.append(partial(self._serving.stop, _PATIENCE))
        self._serving.start()
        self._committer = Committer(self._ledger, self._link.wake, self.timings)
        self._closing.append(self._committer.close)
        self._publish_facts()
        self._home_assistant = HomeAssistant(self._link, self._store)
        self._home_assistant.update(config, self._bundle.manifest.model)
        self._link.start()
        self._closing.append(self._link.stop)
        if config.page is not None:
            self._show(config.page)

    def _show(self, config: PageConfig) -> None:
        """Open the page; what stands against it is said, and counting goes on."""
        observed = Observed(
            config=self._config,
            spec=self._bundle.manifest.model,
            boot_id=self._boot_id,
            units=self.units,
            ledger=self._ledger,
            health=lambda: self._health(time.monotonic()),
            facts=self._facts_message,
            wall=time.time,
        )
        password = self._config.broker.password
        page = PageServer(config, observed.ports(), [password.get_secret_value()] if password else [])
        try:
            page.start()
        except DeviceError as error:
            _log.error("the page is not shown: %s", error)
            return
        self._closing.append(page.close)
        _log.info("the page is at %s", page.url)

    def _make_serving(self, ground: Ground) -> Serving:
        return Serving(
            LanePool([unit.stream for unit in self.units], self._ready),
            ground.select,
            partial(ground.engines.build, self._bundle),
            self._publish_facts,
        )

    def _frames(self) -> Frames:
        """Of all cameras since the start."""
        found = [unit.frames_so_far() for unit in self.units]
        return Frames(sum(one.seen for one in found), sum(one.late for one in found))

    def run(self, stop: threading.Event, *, until_end: bool) -> None:
        """Close windows and publish until told to stop."""
        clock = WindowClock(self._config.window_seconds, time.time(), time.monotonic())
        if self._config.runtime.tune and not until_end:
            self._tuner.start()
        try:
            self._turn_over(clock, stop, until_end=until_end)
        finally:
            self._finish(clock)

    def _turn_over(self, clock: WindowClock, stop: threading.Event, *, until_end: bool) -> None:
        state_due = health_due = time.monotonic()
        while not stop.is_set():
            now = time.monotonic()
            self._serving.check(patient=not until_end)
            for unit in self.units:
                unit.look(now, served=self._serving.form is not None)
            self._turn(clock)
            if now >= state_due:
                self._publish_states()
                state_due = now + self._config.state_seconds
            if now >= health_due:
                self._link.state(Topic(self._config.device, Channel.HEALTH), self._health(now))
                health_due = now + self._config.health_seconds
            if until_end and all(unit.ended for unit in self.units):
                break
            stop.wait(max(0.0, min(clock.window.ends, state_due, health_due) - time.monotonic()))

    def close(self) -> None:
        """End everything in the reverse order of starting; safe at any point of it."""
        with contextlib.ExitStack() as stack:  # one that fails does not keep the others from closing
            for close in self._closing:
                stack.callback(close)
            self._closing.clear()

    def _turn(self, clock: WindowClock) -> None:
        """Close the window that is over, and those that a standstill left behind."""
        while clock.is_over(time.monotonic()):
            self._commit(clock.window)
            jump = clock.turn(time.time(), time.monotonic())  # both now: time between them would be taken for a jump
            if jump:
                _log.warning("the wall clock jumped by %.1f s; windows follow it from here", jump)

    def _finish(self, clock: WindowClock) -> None:
        """Count what is under way, close the window early, and give the broker a moment to take it."""
        self._tuner.stop(_PATIENCE)
        self._close_units()
        self._serving.stop(_PATIENCE)
        self._turn(clock)
        window, now = clock.window, time.monotonic()
        self._commit(window.cut(now))
        self._committer.close()
        self._publish_states()
        self._link.state(Topic(self._config.device, Channel.HEALTH), self._health(now))
        self._link.stop()

    def _close_units(self) -> None:
        """All at once: many cameras that hang must not add up."""
        deadline = time.monotonic() + _PATIENCE
        for unit in self.units:
            unit.close(0.0)
        for unit in self.units:
            unit.close(max(0.0, deadline - time.monotonic()))

    def _commit(self, window: ClockWindow) -> None:
        self._committer.submit([unit.close_window(window) for unit in self.units])

    def _publish_states(self) -> None:
        wall = time.time()
        for unit in self.units:
            state = unit.state(self._ledger.totals, wall)
            self._link.state(Topic(self._config.device, Channel.CAMERA_STATE, unit.id), state)

    def _health(self, now: float) -> Health:
        try:
            outbox = self._store.status()
        except StorageError as error:
            _log.error("%s", error)
            outbox = None
        form = self._serving.form
        return Health(
            device=self._config.device,
            at=utc_text(time.time()),
            uptime=round(now - self._started, 1),
            rss_mb=resident_mb(),
            outbox_waiting=outbox.waiting if outbox else None,
            outbox_dropped=outbox.dropped if outbox else None,
            windows_held=self._committer.windows_held,
            windows_lost=self._ledger.windows_lost,
            disk_bytes_per_day=outbox.written_per_day if outbox else None,
            cameras={unit.id: unit.health(now) for unit in self.units},
            artifact=form.artifact.id if form is not None else None,
            building=self._serving.progress,
        )

    def _hello(self) -> Hello:
        form = self._serving.form
        return Hello(
            device=self._config.device,
            boot_id=self._boot_id,
            version=VERSION,
            models={"main": form.artifact.digest} if form is not None else {},
        )

    def _publish_facts(self) -> None:
        self._link.state(Topic(self._config.device, Channel.FACTS), self._facts_message())

    def _facts_message(self) -> FactsMessage:
        return FactsMessage(
            device=self._config.device,
            labels=dict(self._config.labels),
            facts={name: _plain(value) for name, value in self._facts.items()},
            artifacts=list(self._serving.considered),
        )


def _plain(value: FactValue) -> str | int | float | bool | list[str]:
    return list(value) if isinstance(value, tuple) else value
