"""How long each stage of a frame took: bounded rings of samples, cheap enough to be always on."""

from __future__ import annotations

import threading
from array import array
from typing import Literal

import numpy as np

from contracts.health import StageLatency

Stage = Literal["decode", "resize", "infer", "outputs", "count", "publish", "total", "published"]
"""``decode``: reading the source, scaling included; ``resize``: into the network's input; ``outputs``: decoding them;
``publish``: committing a window to disk; ``total``: from a frame's capture to counted; ``published``: from the capture
of a window's newest frame until its report is on the disk and with the link."""

_KEPT = 4096  # samples a stage; at 30 fps somewhat over two minutes


class _Ring:
    """The last samples of one stage, in memory that is taken at once: no object a sample, nothing that grows."""

    def __init__(self) -> None:
        self._seconds = array("d", bytes(8 * _KEPT))
        self._added = 0

    def add(self, seconds: float) -> None:
        self._seconds[self._added % _KEPT] = seconds
        self._added += 1

    def samples(self) -> list[float]:
        """Oldest first."""
        if self._added <= _KEPT:
            return self._seconds[: self._added].tolist()
        oldest = self._added % _KEPT
        return self._seconds[oldest:].tolist() + self._seconds[:oldest].tolist()


class Timings:
    """Seconds by stage, of the last frames; any thread may add."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rings: dict[str, _Ring] = {}

    def add(self, stage: Stage, seconds: float) -> None:
        """Remember one sample."""
        with self._lock:
            ring = self._rings.get(stage)
            if ring is None:
                ring = self._rings[stage] = _Ring()
            ring.add(seconds)

    def samples(self, stage: Stage) -> list[float]:
        """What is remembered of a stage, in seconds, oldest first."""
        with self._lock:
            ring = self._rings.get(stage)
            return [] if ring is None else ring.samples()

    def latency(self, stage: Stage) -> StageLatency | None:
        """Percentiles in milliseconds, or None before the first sample."""
        samples = self.samples(stage)
        return percentiles(samples) if samples else None


def percentiles(seconds: list[float]) -> StageLatency:
    """Percentiles of samples, in milliseconds.

    Raises:
        ValueError: there is no sample.
    """
    if not seconds:
        raise ValueError("expected at least one sample, got none")
    cuts = np.percentile(np.asarray(seconds) * 1e3, [50, 90, 95, 99])
    p50, p90, p95, p99 = (round(float(value), 3) for value in cuts)
    return StageLatency(n=len(seconds), p50=p50, p90=p90, p95=p95, p99=p99)
