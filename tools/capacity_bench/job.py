"""What one measurement is asked for, and what comes of it."""

from __future__ import annotations

from pydantic import Field

from contracts.documents import MachineModel
from tools.bench.job import Measured


class Load(MachineModel):
    """What the agent is given to do.

    Attributes:
        bundle: folder.
        artifact: which of its artifacts, in f32.
        source: what each camera reads.
        cameras: how many.
        realtime: play a file at its own rate; else as fast as it goes, with no frame left out.
        fps: each camera's limit, None for none.
        lanes: inferences at once.
        broker_port: where reports go, on loopback.
        state_dir: an empty folder.
        started: monotonic seconds at which the process was started.
        warm: seconds from the first frames counted to the beginning of the measurement.
        seconds: how long it takes.
    """

    bundle: str
    artifact: str
    source: str
    cameras: int = 1
    realtime: bool = True
    fps: float | None = None
    lanes: int
    broker_port: int
    state_dir: str
    started: float
    warm: float
    seconds: float


class Carried(Measured):
    """What the agent did within the measured time; of `Measured`, ``dropped`` and ``cpu_seconds`` are of that time too.

    Attributes:
        began: seconds since 1970 at which it began.
        ended: the same of its end.
        came: frames that the cameras gave, before any was replaced by a newer one.
        behind_ms: how far the sources lagged behind their own clocks, 95th percentile of the frames.
        cpu: CPU seconds by who spent them; `tools.capacity_bench.cpu`.
    """

    began: float
    ended: float
    came: int
    behind_ms: float
    cpu: dict[str, float] = Field(default_factory=dict)
