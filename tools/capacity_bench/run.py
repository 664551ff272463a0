"""One pair of measurements: the agent and the floor under the same load, one after the other."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from runtime.bundle import open_bundle
from tools.bench.floor import floor_of
from tools.bench.job import Measured
from tools.bench.process import measured_by
from tools.capacity_bench.job import Carried, Load
from tools.capacity_bench.reports import Consumer, Delivered

_START = 120.0  # seconds that a process may take beside its measurement


@dataclass(frozen=True)
class Bench:
    """What all measurements of a run have in common.

    Args:
        bundle: folder.
        source: what each camera reads.
        live: whether it comes at its own rate.
        lanes: inferences at once.
        port: of the broker.
        warm: seconds before each measurement.
    """

    bundle: Path
    source: str
    live: bool
    lanes: int
    port: int
    warm: float


@dataclass(frozen=True)
class Pair:
    """The agent beside the floor.

    Args:
        ours: the agent.
        bare: the floor.
        delivered: what a consumer got of the agent.
    """

    ours: Carried
    bare: Measured
    delivered: Delivered


def pair(bench: Bench, artifact: str, seconds: float, cameras: int = 1, *, realtime: bool = True) -> Pair:
    """Measure both; as fast as they go where not ``realtime``."""
    ours, delivered = agent_under(bench, artifact, seconds, cameras, realtime=realtime)
    return Pair(ours, _floor_under(bench, artifact, seconds, cameras, realtime=realtime), delivered)


def agent_under(
    bench: Bench, artifact: str, seconds: float, cameras: int = 1, *, realtime: bool = True, fps: float | None = None
) -> tuple[Carried, Delivered]:
    """Measure the agent, and what a consumer gets of it.

    Args:
        bench: what all measurements have in common.
        artifact: of the bundle.
        seconds: how long.
        cameras: how many.
        realtime: play a file at its own rate.
        fps: each camera's limit.
    """
    with tempfile.TemporaryDirectory() as state, Consumer(bench.port) as consumer:
        load = Load(
            bundle=str(bench.bundle),
            artifact=artifact,
            source=bench.source,
            cameras=cameras,
            realtime=realtime,
            fps=fps,
            lanes=bench.lanes,
            broker_port=bench.port,
            state_dir=state,
            started=time.monotonic(),
            warm=bench.warm,
            seconds=seconds,
        )
        carried = measured_by("tools.capacity_bench.ours", load.model_dump_json(), Carried, _START + seconds)
        return carried, consumer.delivered(carried, cameras)


def _floor_under(bench: Bench, artifact: str, seconds: float, cameras: int, *, realtime: bool) -> Measured:
    floor = floor_of(open_bundle(bench.bundle), artifact, bench.source, bench.lanes, time.monotonic())
    how = {"cameras": cameras, "seconds": seconds, "warm": bench.warm, "live": bench.live, "realtime": realtime}
    told = floor.model_copy(update=how).model_dump_json()
    return measured_by("tools.bench.bare", told, Measured, _START + seconds)
