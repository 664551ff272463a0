"""The measuring process of the agent: everything it does as a service, on a clip as fast as it goes."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping

from agent.cameras.frame import Frame, Source, Wanted
from agent.cameras.table import open_source
from agent.daemon import Daemon
from agent.timings import Stage, Timings
from contracts.config import AgentConfig, CameraConfig
from contracts.health import StageLatency
from tools.bench.job import Job, Measured
from tools.bench.memory import peak_mb

_STAGES: tuple[Stage, ...] = ("resize", "infer", "outputs", "count")


class TimedSource:
    """A source whose reading is timed."""

    def __init__(self, source: Source, timings: Timings) -> None:
        self._source = source
        self._timings = timings

    def read(self) -> Frame | None:
        """The next frame."""
        begun = time.perf_counter()
        frame = self._source.read()
        self._timings.add("decode", time.perf_counter() - begun)
        return frame

    def close(self) -> None:
        """Let go of it."""
        self._source.close()

    @property
    def dropped(self) -> Mapping[str, int]:
        """Frames left out, by cause."""
        return self._source.dropped


def measure(job: Job) -> Measured:
    """Run the agent over the clip."""
    timings = Timings()

    def open_timed(camera: CameraConfig, wanted: Wanted, stop: threading.Event) -> Source:
        return TimedSource(open_source(camera, wanted, stop), timings)

    daemon = Daemon(_config(job), opener=open_timed)
    begun = time.monotonic()
    daemon.start()
    loaded = time.monotonic()
    unit = daemon.units[0]
    cpu_before = time.process_time()
    daemon.run(until_end=True)
    cpu_after = time.process_time()
    daemon.close()
    if unit.first_counted_at is None or unit.last_counted_at is None:
        raise RuntimeError("no frame was counted")
    stages = {"decode": timings.latency("decode"), "publish": daemon.timings.latency("publish")}
    stages |= {stage: unit.stream.timings.latency(stage) for stage in _STAGES}
    return Measured(
        frames=unit.counted,
        seconds=unit.last_counted_at - unit.first_counted_at,
        cpu_seconds=cpu_after - cpu_before,
        cpu_frames=unit.counted,
        load=loaded - begun,
        first=unit.first_counted_at - job.started,
        rss_mb=peak_mb(),
        stages=_present(stages),
    )


def _present(stages: dict[str, StageLatency | None]) -> dict[str, StageLatency]:
    return {stage: latency for stage, latency in stages.items() if latency is not None}


def _config(job: Job) -> AgentConfig:
    return AgentConfig.model_validate(
        {
            "device": "bench",
            "bundle": job.bundle,
            "state_dir": job.state_dir,
            "window_seconds": 1,
            "broker": {"host": "127.0.0.1", "port": job.broker_port, "protocol": "3.1.1"},
            "runtime": {"artifact": job.artifact, "execution_precision": "f32", "lanes": job.lanes},
            "camera": [{"id": "clip", "source": job.clip, "realtime": False}],
        }
    )


if __name__ == "__main__":
    print(measure(Job.model_validate_json(sys.argv[1])).model_dump_json())
