"""Who spends the processor's time: decoding, inference, or the agent around them."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

from agent.cameras.frame import Frame, Source
from runtime.backends.base import Lane
from runtime.results import Tensors

DECODE, INFERENCE = "decode", "inference"
OBSERVER = "observer"
"""Name of the thread that measures; what it spends is nobody's."""

Opener = Callable[..., list[Lane]]


class Spent:
    """CPU seconds by who spent them, since it was made; its wrappers tell which part of a thread is whose."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._parts: defaultdict[str, float] = defaultdict(float)

    def add(self, part: str, seconds: float) -> None:
        """Somebody spent some."""
        with self._lock:
            self._parts[part] += seconds

    def now(self) -> dict[str, float]:
        """All so far, by decode, inference and the agent's threads without these two; threads must not end meanwhile.

        What no thread of Python's spent is the runtime's own threads': inference.
        """
        with self._lock:
            decode, inference = (self._parts[part] for part in (DECODE, INFERENCE))
        spent: defaultdict[str, float] = defaultdict(float)
        for thread in threading.enumerate():
            if thread.ident is not None:
                clock = time.pthread_getcpuclockid(thread.ident)
                spent[thread.name.partition("-")[0]] += time.clock_gettime(clock)
        native = time.process_time() - sum(spent.values())
        spent["camera"] -= decode
        spent["lane"] -= inference
        spent[DECODE], spent[INFERENCE] = decode, inference + native
        spent.pop(OBSERVER, None)
        return dict(spent)


def between(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """What was spent from one moment to the other, by who."""
    return {who: max(0.0, seconds - before.get(who, 0.0)) for who, seconds in after.items()}


def around(cpu: Mapping[str, float]) -> float:
    """CPU seconds of the agent outside decode and inference."""
    return sum(seconds for who, seconds in cpu.items() if who not in {DECODE, INFERENCE})


class WatchedSource:
    """A source whose reading is charged to decoding, and that notes how far it is behind its own clock.

    Args:
        source: the camera.
        spent: where it is charged.
    """

    def __init__(self, source: Source, spent: Spent) -> None:
        self._source = source
        self._spent = spent
        self.lags: list[tuple[float, float]] = []
        """Of each frame: monotonic seconds, and how many seconds after its time by the source's clock."""

    def read(self) -> Frame | None:
        """The next frame."""
        begun = time.thread_time()
        frame = self._source.read()
        self._spent.add(DECODE, time.thread_time() - begun)
        if frame is not None:
            self.lags.append((frame.captured_at, frame.captured_at - frame.shown_at))
        return frame

    def close(self) -> None:
        """Let go of it."""
        self._source.close()

    @property
    def dropped(self) -> Mapping[str, int]:
        """Frames left out, by cause."""
        return self._source.dropped

    def behind(self, since: float, until: float) -> list[float]:
        """Seconds that the frames of a time lagged more than the one that lagged least ever."""
        least = min((lag for _, lag in self.lags), default=0.0)
        return [lag - least for at, lag in self.lags if since <= at <= until]


class _WatchedLane:
    """A lane whose caller's time is charged to inference; that of the runtime's own threads is seen from outside."""

    def __init__(self, lane: Lane, spent: Spent) -> None:
        self._lane = lane
        self._spent = spent

    def infer(self, tensors: Tensors) -> Tensors:
        """Run the network once."""
        begun = time.thread_time()
        outputs = self._lane.infer(tensors)
        self._spent.add(INFERENCE, time.thread_time() - begun)
        return outputs

    def close(self) -> None:
        """Let go of it."""
        self._lane.close()


def watched(open_lanes: Opener, spent: Spent) -> Opener:
    """The same opener, whose lanes are charged to inference."""

    def open_watched(backend: str, model_file: Path, **how: object) -> list[Lane]:
        return [_WatchedLane(lane, spent) for lane in open_lanes(backend, model_file, **how)]

    return open_watched
