"""The process that measures two settings in turn, beside the one that counts: ``python -m agent.tuning.child``.

A process of its own, so that it stands back, gives all memory back, and takes nobody with it where a runtime crashes.
It reads a job on the first line of stdin, and measures one round for every further line; the first of these opens and
proves both settings. It ends with the pipe: whoever asks decides when, and is never outlived for long.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from pydantic import Field

from agent.tuning.measuring import Caller, measure, road_for, warm
from agent.tuning.rules import Round
from agent.tuning.setting import Setting
from contracts.documents import MachineModel
from contracts.errors import EdgetallyError
from contracts.manifest import Artifact
from runtime.artifact_lanes import open_artifact_lanes
from runtime.bundle import Bundle, open_bundle
from runtime.console import run_program
from runtime.golden import check_golden
from runtime.prepare import Placement


class PairJob(MachineModel):
    """Which two settings are measured.

    Attributes:
        bundle: its folder, absolute.
        settings: the one that serves, and the other.
        engines: artifact id to the engine that was built of it on this box.
        seconds: of each measurement.
        nice: by how much the process stands back; whoever starts it sees to that.
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


def _rounds(job: PairJob, closing: ExitStack) -> Iterator[Round]:
    """A round each time it is asked; the order within changes, so that none always comes after a rest."""
    bundle = open_bundle(job.bundle)
    pictures, placement = road_for(bundle.manifest.model.input)
    base, other = (_open(bundle, setting, job, placement, closing) for setting in job.settings)
    warm((*base, *other), pictures)
    measured = partial(measure, pictures=pictures, seconds=job.seconds)
    while True:
        before = measured(base)
        yield Round(base=before, other=measured(other))
        after = measured(other)
        yield Round(base=measured(base), other=after)


def _open(bundle: Bundle, setting: Setting, job: PairJob, placement: Placement, closing: ExitStack) -> list[Caller]:
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
    return [Caller(lane, spec, tensor.name, placement) for lane in lanes]


def main() -> None:
    """Answer until the pipe ends; what runtimes print goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    job = PairJob.model_validate_json(sys.stdin.readline())
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
