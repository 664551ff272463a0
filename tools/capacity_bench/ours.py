"""The measuring process of the agent: all that it does as a service, with so many cameras, for so long."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np

from agent.cameras.frame import Source, Wanted
from agent.cameras.table import open_source
from agent.daemon import Daemon
from agent.timings import percentiles
from contracts.config import AgentConfig, CameraConfig
from contracts.errors import EdgetallyError
from contracts.health import StageLatency
from runtime.backends.table import open_lanes
from tools.bench.memory import peak_mb
from tools.capacity_bench.cpu import OBSERVER, Spent, WatchedSource, between, watched
from tools.capacity_bench.job import Carried, Load

DEVICE = "bench"
WINDOW = 1
"""Seconds; short, so that a run has many reports."""

_PATIENCE = 60.0  # seconds until every camera was counted once


@dataclass(frozen=True)
class _Moment:
    """What the agent had done until then."""

    at: float
    wall: float
    process: float
    cpu: dict[str, float]
    counted: list[int]
    came: int
    dropped: dict[str, int]
    reports: int


class _Observer:
    """Waits until the cameras run, measures, and stops the agent.

    Args:
        daemon: started.
        load: what it was given to do.
        spent: where it charges its time.
    """

    def __init__(self, daemon: Daemon, load: Load, spent: Spent) -> None:
        self._daemon = daemon
        self._load = load
        self._spent = spent
        self._ended = threading.Event()
        self.moments: list[_Moment] = []
        self._thread = threading.Thread(target=self._run, name=OBSERVER, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """End it, where it has not ended by itself."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            deadline = time.monotonic() + _PATIENCE
            while not all(unit.counted for unit in self._daemon.units):
                if time.monotonic() > deadline or self._ended.wait(0.02):
                    return
            self._ended.wait(self._load.warm)
            self.moments.append(self._look())
            self._ended.wait(self._load.seconds)
            self.moments.append(self._look())
        finally:
            self._daemon.stop()

    def _look(self) -> _Moment:
        now, units = time.monotonic(), self._daemon.units
        health = [unit.health(now) for unit in units]
        causes = {cause for one in health for cause in one.frames_dropped}
        return _Moment(
            at=now,
            wall=time.time(),
            process=time.process_time(),
            cpu=self._spent.now(),
            counted=[unit.counted for unit in units],
            came=sum(one.frames_seen for one in health),
            dropped={cause: sum(one.frames_dropped.get(cause, 0) for one in health) for cause in sorted(causes)},
            reports=len(self._daemon.timings.samples("published")),
        )


def measure(load: Load) -> Carried:
    """Run the agent under the load.

    Raises:
        EdgetallyError: a camera was never counted.
    """
    spent, sources = Spent(), list[WatchedSource]()

    def open_watched(camera: CameraConfig, wanted: Wanted, stop: threading.Event) -> Source:
        sources.append(WatchedSource(open_source(camera, wanted, stop), spent))
        return sources[-1]

    with patch("runtime.artifact_lanes.open_lanes", watched(open_lanes, spent)):
        begun = time.monotonic()
        daemon = Daemon(_config(load), opener=open_watched)
        try:
            daemon.start()
            loaded = time.monotonic()
            observer = _Observer(daemon, load, spent)
            daemon.run(until_end=False)
            observer.join()
        finally:
            daemon.close()
    if not observer.moments:
        raise EdgetallyError("; ".join(unit.problem or f"{unit.id} was not counted" for unit in daemon.units))
    return _carried(daemon, load, sources, observer.moments, (begun, loaded))


def _carried(
    daemon: Daemon, load: Load, sources: list[WatchedSource], moments: list[_Moment], loading: tuple[float, float]
) -> Carried:
    before, after = moments
    ages = [
        age
        for unit, first, last in zip(daemon.units, before.counted, after.counted, strict=True)
        for age in _last(unit.stream.timings.samples("total"), unit.counted - first)[: last - first]
    ]
    reports = daemon.timings.samples("published")[before.reports : after.reports]
    behind = [seconds for source in sources for seconds in source.behind(before.at, after.at)]
    firsts = [unit.first_counted_at for unit in daemon.units if unit.first_counted_at is not None]
    return Carried(
        frames=sum(after.counted) - sum(before.counted),
        seconds=after.at - before.at,
        cpu_seconds=after.process - before.process,
        cpu_frames=max(1, sum(after.counted) - sum(before.counted)),
        load=loading[1] - loading[0],
        first=min(firsts) - load.started,
        rss_mb=peak_mb(),
        dropped={cause: number - before.dropped.get(cause, 0) for cause, number in after.dropped.items()},
        stages=_known(total=ages, published=reports),
        began=before.wall,
        ended=after.wall,
        came=after.came - before.came,
        behind_ms=round(float(np.percentile(behind, 95)) * 1e3, 1) if behind else 0.0,
        cpu=between(before.cpu, after.cpu),
    )


def _last(samples: list[float], number: int) -> list[float]:
    return samples[len(samples) - min(number, len(samples)) :]


def _known(**samples: list[float]) -> dict[str, StageLatency]:
    return {stage: percentiles(seconds) for stage, seconds in samples.items() if seconds}


def _config(load: Load) -> AgentConfig:
    camera = {"source": load.source, "loop": True, "realtime": load.realtime, "fps": load.fps}
    return AgentConfig.model_validate(
        {
            "device": DEVICE,
            "bundle": load.bundle,
            "state_dir": load.state_dir,
            "window_seconds": WINDOW,
            "broker": {"host": "127.0.0.1", "port": load.broker_port, "protocol": "3.1.1"},
            "runtime": {"artifact": load.artifact, "execution_precision": "f32", "lanes": load.lanes},
            "camera": [{"id": f"camera-{number}", **camera} for number in range(load.cameras)],
        }
    )


if __name__ == "__main__":
    print(measure(Load.model_validate_json(sys.argv[1])).model_dump_json())
