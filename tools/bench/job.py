"""What is measured, as it is handed to the measuring processes and comes back from them."""

from __future__ import annotations

from pydantic import Field

from contracts.documents import MachineModel
from contracts.health import StageLatency


class Job(MachineModel):
    """One measurement.

    Attributes:
        bundle: folder.
        artifact: which of its artifacts.
        clip: what is counted.
        lanes: inferences at once.
        broker_port: where reports go, on loopback.
        state_dir: an empty folder.
        started: monotonic seconds at which the process was started.
    """

    bundle: str
    artifact: str
    clip: str
    lanes: int
    broker_port: int = 0
    state_dir: str = ""
    started: float


class Measured(MachineModel):
    """What a measuring process saw; times in seconds.

    Attributes:
        frames: how many were inferred.
        seconds: from the first result to the last.
        cpu_seconds: of the whole process, from when the artifact was loaded to the end.
        cpu_frames: how many frames were inferred in that time.
        load: opening the artifact.
        first: from the start of the process to the first result.
        rss_mb: peak resident memory, MB of 10^6 bytes.
        dropped: frames that were not inferred, by cause, from the start to the end.
        stages: percentiles by stage.
    """

    frames: int
    seconds: float
    cpu_seconds: float
    cpu_frames: int
    load: float
    first: float
    rss_mb: float
    dropped: dict[str, int] = Field(default_factory=dict)
    stages: dict[str, StageLatency] = Field(default_factory=dict)

    @property
    def fps(self) -> float:
        """Frames a second between the first result and the last."""
        return (self.frames - 1) / self.seconds

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds a frame."""
        return 1e3 * self.cpu_seconds / self.cpu_frames
