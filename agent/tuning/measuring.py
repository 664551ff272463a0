"""How fast lanes are on this box, beside whatever else it does: as the agent runs them on scaled frames."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from functools import partial

import numpy as np

from agent.tuning.rules import Figures
from contracts.model_spec import InputSpec, ModelSpec
from runtime.backends.base import Lane
from runtime.cpu_share import CpuShare
from runtime.decoders.table import open_decoder
from runtime.measure import repeat, throughput
from runtime.prepare import Placement, Preparer, place
from runtime.results import Picture
from runtime.synthetic_road import RoadSettings, SyntheticRoad

_PICTURES = 8  # that differ, so that no cache holds the answer
_STEP = 45  # frames of the road between two of them: 1.5 s
_LEAST_RUNS = 2  # of a lane in one measurement, however slow it is
WARM_RUNS = 3


class Caller:
    """One lane with what belongs to it, as the agent runs it on a frame that a camera has scaled already."""

    def __init__(self, lane: Lane, spec: ModelSpec, input_name: str, placement: Placement) -> None:
        self._lane = lane
        self._input_name = input_name
        self._placement = placement
        self._preparer = Preparer(spec.input)
        self._decoder = open_decoder(spec)

    def run(self, picture: Picture) -> float:
        """Seconds of one frame."""
        begun = time.perf_counter()
        tensor = self._preparer.prepare(picture, self._placement)
        self._decoder.decode(self._lane.infer({self._input_name: tensor}), self._placement)
        return time.perf_counter() - begun


def road_for(spec: InputSpec) -> tuple[list[Picture], Placement]:
    """Pictures of a road in the size that a model wants, and where they lie in its input."""
    placement = place(spec, spec.width, spec.height)
    road = SyntheticRoad(RoadSettings(width=placement.width, height=placement.height))
    return [np.ascontiguousarray(road.frame(index * _STEP)) for index in range(_PICTURES)], placement


def warm(callers: Sequence[Caller], pictures: Sequence[Picture]) -> None:
    """Run each a few times: a first run allocates memory and loads kernels."""
    for caller in callers:
        repeat(caller.run, pictures, WARM_RUNS, 0.0)


def measure(callers: Sequence[Caller], pictures: Sequence[Picture], seconds: float) -> Figures:
    """Measure lanes once, for some seconds and a third; rates as if the box did nothing else."""
    alone = CpuShare()
    times = repeat(callers[0].run, pictures, _LEAST_RUNS, seconds / 3)
    latency_ms = statistics.fmean(times) * 1000 * (alone.share() or 1.0)
    together = CpuShare()
    done: list[float] = []  # appending is atomic
    runs = [partial(_noted, caller, done, together) for caller in callers]
    cpu = time.process_time()
    fps = throughput(runs, pictures, _LEAST_RUNS * len(callers), seconds)
    cpu_ms = (time.process_time() - cpu) * 1000 / len(done)
    return Figures(fps=fps / (together.share() or 1.0), latency_ms=latency_ms, cpu_ms=cpu_ms)


def _noted(caller: Caller, done: list[float], share: CpuShare, picture: Picture) -> None:
    share.note()
    done.append(caller.run(picture))
    share.note()
