"""The process that measures two settings in turn, beside the one that counts: ``python -m agent.tuning.child``.

A process of its own, so that it stands back, gives all memory back, and takes nobody with it where a runtime crashes.
It reads a job on the first line of stdin, and measures one round for every further line; the first of these opens and
proves both settings. It ends with the pipe: whoever asks decides when, and is never outlived for long.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import numpy as np
from pydantic import Field

from agent.tuning.rules import Figures, Round
from agent.tuning.setting import Setting
from contracts.documents import MachineModel
from contracts.errors import EdgetallyError
from contracts.manifest import Artifact
from contracts.model_spec import ModelSpec
from runtime.artifact_lanes import open_artifact_lanes
from runtime.backends.base import Lane
from runtime.bundle import Bundle, open_bundle
from runtime.console import run_program
from runtime.cpu_share import CpuShare
from runtime.decoders.table import open_decoder
from runtime.golden import check_golden
from runtime.measure import repeat, throughput
from runtime.prepare import Placement, Preparer, place
from runtime.results import Picture
from runtime.synthetic_road import RoadSettings, SyntheticRoad

_PICTURES = 8  # that differ, so that no cache holds the answer
_STEP = 45  # frames of the road between two of them: 1.5 s
_WARM_RUNS = 3
_LEAST_RUNS = 2  # of a lane in one measurement, however slow it is
_FIRST_TO_DIE = "1000"  # of oom_score_adj, proc(5)


class PairJob(MachineModel):
    """Which two settings are measured.

    Attributes:
        bundle: its folder, absolute.
        settings: the one that serves, and the other.
        engines: artifact id to the engine that was built of it on this box.
        seconds: of each measurement.
        nice: by how much this process stands back.
    """

    bundle: Path
    settings: tuple[Setting, Setting]
    engines: dict[str, Path] = Field(default_factory=dict)
    seconds: float = Field(0.3, gt=0)
    nice: int = Field(0, ge=0, le=19)


class Answer(MachineModel):
    """What comes back for each line that asks: a round, or why none can be measured.

    Attributes:
        round: what was measured.
        problem: why nothing was.
        cpu_s: CPU seconds of the process so far.
    """

    round: Round | None = None
    problem: str = ""
    cpu_s: float = 0.0


class _Caller:
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


def _measure(callers: Sequence[_Caller], pictures: Sequence[Picture], seconds: float) -> Figures:
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


def _noted(caller: _Caller, done: list[float], share: CpuShare, picture: Picture) -> None:
    share.note()
    done.append(caller.run(picture))
    share.note()


def _rounds(job: PairJob, closing: ExitStack) -> Iterator[Round]:
    """A round each time it is asked; the order within changes, so that none always comes after a rest."""
    bundle = open_bundle(job.bundle)
    spec = bundle.manifest.model.input
    placement = place(spec, spec.width, spec.height)
    road = SyntheticRoad(RoadSettings(width=placement.width, height=placement.height))
    pictures = [np.ascontiguousarray(road.frame(index * _STEP)) for index in range(_PICTURES)]
    base, other = (_open(bundle, setting, job, placement, closing) for setting in job.settings)
    for caller in (*base, *other):
        repeat(caller.run, pictures, _WARM_RUNS, 0.0)
    measure = partial(_measure, pictures=pictures, seconds=job.seconds)
    while True:
        before = measure(base)
        yield Round(base=before, other=measure(other))
        after = measure(other)
        yield Round(base=measure(base), other=after)


def _open(bundle: Bundle, setting: Setting, job: PairJob, placement: Placement, closing: ExitStack) -> list[_Caller]:
    artifact: Artifact = bundle.artifact(setting.artifact)
    lanes = open_artifact_lanes(
        bundle,
        artifact,
        execution_precision=setting.execution_precision,
        lanes=setting.lanes,
        threads=setting.threads,
        entry=job.engines.get(setting.artifact),
    )
    for lane in lanes:
        closing.callback(lane.close)
    check_golden(lanes[0], bundle, artifact, setting.execution_precision)
    spec = artifact.tuned_spec(bundle.manifest.model, setting.execution_precision)
    (tensor,) = artifact.inputs
    return [_Caller(lane, spec, tensor.name, placement) for lane in lanes]


def main() -> None:
    """Answer until the pipe ends; what runtimes print goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    job = PairJob.model_validate_json(sys.stdin.readline())
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_DIE, encoding="ascii")
    with ExitStack() as closing, answers:
        rounds = _rounds(job, closing)
        while sys.stdin.readline():
            try:
                answer = Answer(round=next(rounds), cpu_s=time.process_time())
            except EdgetallyError as error:
                answer = Answer(problem=str(error))
            answers.write(answer.model_dump_json() + "\n")
            answers.flush()


if __name__ == "__main__":
    sys.exit(run_program(main))
