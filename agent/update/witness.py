"""What a running agent shows of itself: how it was before a model took over, and how it has been since."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from agent.counting.window import WindowCounts
from agent.drift.counts import UsualHours
from agent.update.continuity import Past
from agent.update.evidence import CountTally, Mark, before_of, evidence_of, mark_of
from agent.update.probation import Before, CameraBefore, CameraEvidence, Evidence
from contracts.config import CameraConfig
from contracts.health import CameraHealth, Telemetry
from contracts.messages import Quality

_HOT_SECONDS = 300.0  # whose highest temperatures are remembered
_RATE_SECONDS = 30.0  # that a rate is the mean of, where the camera was watched for so long
_LOOK_SECONDS = 1.0  # between two looks
_NOTHING = Mark(0, 0, 0)


class WatchedCamera(Protocol):
    """A camera; another object once it was opened anew."""

    @property
    def id(self) -> str:
        """Its name."""

    @property
    def camera(self) -> CameraConfig:
        """What is counted now."""

    @property
    def counted(self) -> int:
        """Frames since it was opened."""

    def health(self, now: float) -> CameraHealth:
        """How it runs; ``now`` in monotonic seconds."""

    def usual(self, wall: float) -> UsualHours | None:
        """What its own weeks say of the hours to come; ``wall`` in seconds since 1970."""


@dataclass(frozen=True)
class Vitals:
    """The box now.

    Args:
        cameras: those that run.
        rss_mb: resident memory of the agent, MB of 10^6 bytes.
        telemetry: what the hardware tells; None where it tells nothing.
        acknowledged: messages that the broker confirmed since the start.
        connected: whether there is a broker.
    """

    cameras: Sequence[WatchedCamera]
    rss_mb: float | None
    telemetry: Telemetry | None
    acknowledged: int
    connected: bool


@dataclass
class _Account:
    """What is known of a camera, over all the times that it was opened."""

    tally: CountTally
    since: CountTally  # the taking over
    unit: WatchedCamera | None = None
    quality: Quality = "no_camera"
    carried: Mark = _NOTHING  # of what was opened before
    last: Mark = _NOTHING
    base: Mark = _NOTHING  # at the taking over
    straddles: bool = False  # the window that is open began before the taking over
    looks: deque[tuple[float, Mark]] = field(default_factory=lambda: deque(maxlen=64))

    @classmethod
    def of(cls, camera: CameraConfig) -> _Account:
        crossings = bool(camera.line)
        return cls(CountTally(crossings=crossings), CountTally(crossings=crossings))

    @property
    def total(self) -> Mark:
        one, other = self.carried, self.last
        return Mark(one.came + other.came, one.counted + other.counted, one.errors + other.errors)

    def recent(self, now: float) -> tuple[Mark, Mark, float] | None:
        """Where it stood some time ago, where it stands, and the seconds between; None where that is not known."""
        looks = [(at, mark) for at, mark in self.looks if now - at <= _RATE_SECONDS]
        if len(looks) < 2 or looks[-1][0] <= looks[0][0]:  # noqa: PLR2004 - a difference takes two
            return None
        (begun, first), (ended, last) = looks[0], looks[-1]
        return first, last, ended - begun


class Witness:
    """Watches a box. `note_windows` and `look` are called by the daemon, the rest by the thread of the update.

    Args:
        vitals: tells how the box is.
        window_seconds: how long its windows are now.
        wall: seconds since 1970.
        monotonic: seconds since boot.
    """

    def __init__(
        self,
        vitals: Callable[[], Vitals],
        window_seconds: Callable[[], float],
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._vitals = vitals
        self._window_seconds = window_seconds
        self._wall = wall
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._accounts: dict[str, _Account] = {}
        self._heat: deque[tuple[float, Mapping[str, float]]] = deque(maxlen=600)
        self._look_at = float("-inf")
        self._begun_at = monotonic()
        self._acknowledged = 0

    def note_windows(self, counts: Sequence[WindowCounts]) -> None:
        """Windows ended."""
        with self._lock:
            for one in counts:
                account = self._accounts.get(one.camera)
                if account is not None:
                    account.tally.take(one, self._window_seconds())
                    if not account.straddles:
                        account.since.take(one, self._window_seconds())
                    account.straddles = False

    def look(self) -> None:
        """Have a look at the box, at most once a second however often it is called: health takes sorting latencies."""
        now = self._monotonic()
        if now < self._look_at:
            return
        self._look_at = now + _LOOK_SECONDS
        vitals = self._vitals()
        with self._lock:
            self._take(vitals, now)

    def rates(self) -> dict[str, float]:
        """Frames a second that each camera gave lately, counted or not; 0 where that is not known."""
        now = self._monotonic()
        with self._lock:
            spans = {name: account.recent(now) for name, account in self._accounts.items()}
        return {name: (span[1].came - span[0].came) / span[2] if span else 0.0 for name, span in spans.items()}

    def before(self) -> Before:
        """The box as it is, for a model that takes over now; `evidence` is since then."""
        vitals, now = self._vitals(), self._monotonic()
        with self._lock:
            self._take(vitals, now)
            self._begun_at, self._acknowledged = now, vitals.acknowledged
            cameras = {unit.id: self._camera_before(unit, now) for unit in vitals.cameras}
            for unit in vitals.cameras:
                account = self._accounts[unit.id]
                account.base, account.since = account.total, CountTally(crossings=bool(unit.camera.line))
                account.straddles = True
            return Before(
                at=now,
                cameras=cameras,
                rss_mb=vitals.rss_mb,
                celsius=self._hottest(now),
                connected=vitals.connected,
            )

    @property
    def begun_at(self) -> float:
        """Monotonic seconds of the last `before`."""
        return self._begun_at

    def evidence(self) -> Evidence:
        """What it shows since a model took over."""
        vitals, now = self._vitals(), self._monotonic()
        telemetry = vitals.telemetry
        with self._lock:
            self._take(vitals, now)
            cameras = {unit.id: _evidence(self._accounts[unit.id]) for unit in vitals.cameras}
        return Evidence(
            at=now,
            cameras=cameras,
            rss_mb=vitals.rss_mb,
            temperatures=dict(telemetry.temperatures) if telemetry is not None else {},
            acknowledged=vitals.acknowledged - self._acknowledged,
        )

    def _take(self, vitals: Vitals, now: float) -> None:
        for unit in vitals.cameras:
            account = self._accounts.setdefault(unit.id, _Account.of(unit.camera))
            if account.unit is not unit:
                account.carried, account.last, account.unit = account.total, _NOTHING, unit
            health = unit.health(now)
            account.last, account.quality = mark_of(health, unit.counted), health.quality
            account.looks.append((now, account.total))
        if vitals.telemetry is not None:
            self._heat.append((now, {name: one.celsius for name, one in vitals.telemetry.temperatures.items()}))

    def _camera_before(self, unit: WatchedCamera, now: float) -> CameraBefore:
        account = self._accounts[unit.id]
        past = Past(account.tally.pieces, unit.usual(self._wall()), crossings=bool(unit.camera.line))
        span = account.recent(now)
        return CameraBefore(0.0, past=past) if span is None else before_of(*span, past)

    def _hottest(self, now: float) -> dict[str, float]:
        most: dict[str, float] = {}
        for at, sensors in self._heat:
            if now - at <= _HOT_SECONDS:
                for name, celsius in sensors.items():
                    most[name] = max(celsius, most.get(name, celsius))
        return most


def _evidence(account: _Account) -> CameraEvidence:
    return evidence_of(account.base, account.total, account.quality, account.since.total)
