"""How long each stage of a frame took: bounded rings of samples, cheap enough to be always on."""

from __future__ import annotations

import threading
from collections import deque
from typing import Literal

import numpy as np

from contracts.messages import StageLatency

Stage = Literal["decode", "resize", "infer", "outputs", "count", "publish", "total", "published"]
"""``decode``: reading the source, scaling included; ``resize``: into the network's input; ``outputs``: decoding them;
``publish``: committing a window to disk; ``total``: from a frame's capture to counted; ``published``: from the capture
of a window's newest frame until its report is on the disk and with the link."""

_KEPT = 4096  # samples a stage; at 30 fps somewhat over two minutes


class Timings:
    """Seconds by stage, of the last frames; any thread may add."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._samples: dict[str, deque[float]] = {}

    def add(self, stage: Stage, seconds: float) -> None:
        """Remember one sample."""
        with self._lock:
            self._samples.setdefault(stage, deque(maxlen=_KEPT)).append(seconds)

    def samples(self, stage: Stage) -> list[float]:
        """What is remembered of a stage, in seconds, oldest first."""
        with self._lock:
            return list(self._samples.get(stage, ()))

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
