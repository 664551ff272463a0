"""How long each stage of a frame took: bounded rings of samples, cheap enough to be always on."""

from __future__ import annotations

import threading
from collections import deque
from typing import Literal

import numpy as np

from contracts.messages import StageLatency

Stage = Literal["decode", "resize", "infer", "outputs", "count", "publish", "total"]
"""``decode``: reading the source, scaling included; ``resize``: into the network's input; ``outputs``: decoding them;
``publish``: committing a window to disk and handing it to the link; ``total``: from capture to counted."""

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

    def latency(self, stage: Stage) -> StageLatency | None:
        """Percentiles in milliseconds, or None before the first sample."""
        with self._lock:
            samples = list(self._samples.get(stage, ()))
        return percentiles(samples) if samples else None


def percentiles(seconds: list[float]) -> StageLatency:
    """Percentiles of samples, in milliseconds.

    Raises:
        ValueError: there is no sample.
    """
    if not seconds:
        raise ValueError("expected at least one sample, got none")
    p50, p90, p99 = (float(value) for value in np.percentile(np.asarray(seconds) * 1e3, [50, 90, 99]))
    return StageLatency(n=len(seconds), p50=round(p50, 3), p90=round(p90, 3), p99=round(p99, 3))
