"""Measuring an artifact: load, first inference, every stage of a frame, throughput and memory.

``python -m runtime.measure JOB.json`` measures in a process of its own and writes one line of JSON, so that memory and
load are the artifact's own, and a runtime that crashes takes nobody with it.

The rule (trtexec, benchmark_app and MLPerf each have one of their own): warm up for 20 runs and a second, then 200 runs
and 10 s; the frames differ; the end-to-end time is measured, not the sum of the stages.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from av.video.frame import VideoFrame
from pydantic import Field

from contracts.documents import MachineModel, read_document
from contracts.errors import DocumentError
from contracts.measurement import Benchmark, Latency
from contracts.model_spec import ModelSpec
from runtime.artifact_lanes import with_rest
from runtime.backends.base import Lane
from runtime.backends.table import open_lanes
from runtime.console import run_program
from runtime.decoders.table import open_decoder
from runtime.documents import load_json
from runtime.environment import peak_mb, read_environment, resident_mb
from runtime.pictures import Scaler
from runtime.prepare import Preparer, place
from runtime.synthetic_road import RoadSettings, SyntheticRoad

PICTURES = 8  # that differ, so that no cache holds the answer
_STEP = 45  # frames of the road between two of them: 1.5 s
_SIZE = (1920, 1080)
_ROAD = (640, 360)  # painted small and enlarged: painting at full size peaks at 146 MB, which would hide a small model

Picture = TypeVar("Picture")
Outcome = TypeVar("Outcome")


class Effort(MachineModel):
    """How long to measure; both of each pair are reached.

    Attributes:
        warmup_runs: runs that are thrown away.
        warmup_seconds: seconds of them.
        runs: of one lane, that the percentiles are of; and of all lanes together, for the throughput.
        seconds: of each of the two.
    """

    warmup_runs: int = Field(20, ge=0)
    warmup_seconds: float = Field(1.0, ge=0)
    runs: int = Field(200, ge=1)
    seconds: float = Field(10.0, ge=0)

    @property
    def quick(self) -> bool:
        """Whether it is less than the rule asks for."""
        rule = Effort()
        return any(getattr(self, name) < getattr(rule, name) for name in type(self).model_fields)


FULL = Effort()
QUICK = Effort(runs=30, seconds=1.0)


class MeasureJob(MachineModel):
    """What to measure.

    Attributes:
        model_file: the artifact's entry file; absolute, for the process has a folder of its own.
        backend: which backend opens it.
        options: what the backend is told.
        execution_precision: what it computes with.
        lanes: inferences at once.
        threads: of each lane.
        spec: of the model, for preparing and decoding.
        input_name: of the artifact's one input.
        host_file: what follows on the host processor, in a model of several stages; absolute too.
        handed_on: names of what goes there.
        effort: how long.
    """

    model_file: Path
    backend: str
    options: Mapping[str, str] = Field(default_factory=dict)
    execution_precision: str
    lanes: int = Field(1, ge=1, le=1024)
    threads: int = Field(1, ge=1, le=1024)
    spec: ModelSpec
    input_name: str
    host_file: Path | None = None
    handed_on: tuple[str, ...] = ()
    effort: Effort = FULL


def measure(job: MeasureJob) -> Benchmark:
    """Measure in this very process: memory is only the artifact's own where nothing else was done in it.

    Raises:
        ArtifactError: the runtime refuses the file or the input, or the decoder its outputs.
        DeviceError: this box cannot run it so.
        UnknownNameError: no such backend.
        RuntimeMissingError: its runtime is not installed here.
    """
    load_average = read_environment(job.backend).load_average
    pictures = road_pictures()
    before_mb = resident_mb()
    begun = time.perf_counter()
    lanes = open_lanes(
        job.backend,
        job.model_file,
        execution_precision=job.execution_precision,
        lanes=job.lanes,
        threads=job.threads,
        options=job.options,
    )
    lanes = with_rest(lanes, job.host_file, job.handed_on, threads=job.threads)
    load_ms = (time.perf_counter() - begun) * 1000
    try:
        runners = [_Runner(lane, job.spec, job.input_name) for lane in lanes]
        first_ms = runners[0].run(pictures[0])["infer"]
        model_mb = max(0.0, resident_mb() - before_mb)
        warmup, stages, fps = _sustained([runner.run for runner in runners], pictures, job.effort)
        return Benchmark(
            execution_precision=job.execution_precision,
            lanes=job.lanes,
            threads=job.threads,
            load_ms=load_ms,
            first_ms=first_ms,
            warmup=warmup,
            stages=stages,
            fps=fps,
            model_mb=model_mb,
            peak_mb=peak_mb(),
            quick=job.effort.quick,
            environment=read_environment(job.backend).model_copy(update={"load_average": load_average}),
        )
    finally:
        for lane in lanes:
            lane.close()


def _sustained(
    runs: Sequence[Callable[[VideoFrame], Mapping[str, float]]], pictures: Sequence[VideoFrame], effort: Effort
) -> tuple[int, dict[str, Latency], float]:
    """Runs of the warm-up, the first lane's stages while the others rest, and all lanes' frames a second."""
    warmup = len(repeat(runs[0], pictures, effort.warmup_runs, effort.warmup_seconds))
    times = repeat(runs[0], pictures, effort.runs, effort.seconds)
    stages = {stage: latency([run[stage] for run in times]) for stage in times[0]}
    return warmup, stages, throughput(runs, pictures, effort.runs, effort.seconds)


class _Runner:
    """One lane with what belongs to it, as the agent runs it: its own scaler and its own buffer."""

    def __init__(self, lane: Lane, spec: ModelSpec, input_name: str) -> None:
        self._lane = lane
        self._input_name = input_name
        self._scaler = Scaler(partial(place, spec.input))
        self._preparer = Preparer(spec.input)
        self._decoder = open_decoder(spec)

    def run(self, picture: VideoFrame) -> dict[str, float]:
        """One frame from decoded picture to results; milliseconds by stage."""
        begun = time.perf_counter()
        scaled, placement = self._scaler.scale(picture)
        tensor = self._preparer.prepare(scaled, placement)
        prepared = time.perf_counter()
        outputs = self._lane.infer({self._input_name: tensor})
        inferred = time.perf_counter()
        self._decoder.decode(outputs, placement)
        ended = time.perf_counter()
        seconds = {
            "preprocess": prepared - begun,
            "infer": inferred - prepared,
            "postprocess": ended - inferred,
            "total": ended - begun,
        }
        return {stage: value * 1000 for stage, value in seconds.items()}


def road_pictures() -> list[VideoFrame]:
    """1920x1080 yuv420p pictures of the synthetic road, as a decoder gives them: the same ones every time."""
    road = SyntheticRoad(RoadSettings(width=_ROAD[0], height=_ROAD[1]))
    painted = (VideoFrame.from_ndarray(road.frame(index * _STEP), "bgr24") for index in range(PICTURES))
    return [frame.reformat(*_SIZE, format="yuv420p") for frame in painted]


def repeat(run: Callable[[Picture], Outcome], pictures: Sequence[Picture], runs: int, seconds: float) -> list[Outcome]:
    """Run over the pictures in turn until both the runs and the seconds are reached; what each run gave."""
    done: list[Outcome] = []
    begun = time.perf_counter()
    while len(done) < runs or time.perf_counter() - begun < seconds:
        done.append(run(pictures[len(done) % len(pictures)]))
    return done


def throughput(
    runs: Sequence[Callable[[Picture], object]], pictures: Sequence[Picture], least: int, seconds: float
) -> float:
    """Frames a second of all lanes at once, each in a thread of its own.

    Args:
        runs: one a lane.
        pictures: each lane begins at another of them.
        least: runs of all lanes together.
        seconds: of each lane.

    Returns:
        The sum of the lanes' own rates.

    Raises:
        Exception: what a lane raised.
    """
    start = threading.Barrier(len(runs))
    rates: list[float] = []
    failures: list[Exception] = []

    def work(number: int, run: Callable[[Picture], object]) -> None:
        turned = [*pictures[number % len(pictures) :], *pictures[: number % len(pictures)]]
        start.wait()
        begun = time.perf_counter()
        try:
            done = repeat(run, turned, math.ceil(least / len(runs)), seconds)
        except Exception as error:  # noqa: BLE001 - raised again by the caller, below
            failures.append(error)
        else:
            rates.append(len(done) / (time.perf_counter() - begun))

    threads = [threading.Thread(target=work, args=each) for each in enumerate(runs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return sum(rates)


def latency(milliseconds: Sequence[float]) -> Latency:
    """Percentiles, interpolated between the nearest ranks (NumPy's default; Hyndman and Fan 1996, type 7).

    Args:
        milliseconds: of each run, at least one.
    """
    values = np.asarray(milliseconds, np.float64)
    p50, p90, p99 = (float(value) for value in np.percentile(values, [50, 90, 99]))
    return Latency(n=len(values), min=float(values.min()), mean=float(values.mean()), p50=p50, p90=p90, p99=p99)


def main() -> None:
    """Measure the job whose file is named by the one argument; what runtimes print goes to stderr."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    if len(sys.argv) != 2:  # noqa: PLR2004 - the program and its file
        raise DocumentError("python -m runtime.measure", ["expected one argument, the job's file"])
    path = Path(sys.argv[1])
    job = read_document(MeasureJob, load_json(path), str(path))
    with answer:
        answer.write(measure(job).model_dump_json() + "\n")


if __name__ == "__main__":
    sys.exit(run_program(main))
