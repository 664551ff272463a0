"""What the doctor tries in a process of its own: ``python -m agent.doctor.child``, a job on stdin, an answer on stdout.

A runtime that does not fit its driver ends its process, and a camera's library may hang for ever: that is then found,
and is not the doctor's own end.
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from agent.check import check_artifact, check_camera
from agent.facts import device_facts
from agent.remote.local import explain
from contracts.documents import MachineModel, without_credentials
from contracts.errors import EdgetallyError
from runtime.bundle import open_bundle
from runtime.console import run_program
from runtime.trial import multiply


class _Job(MachineModel):
    """``cwd`` is what relative paths are relative to: here, and in agent.toml."""

    cwd: Path = Field(default_factory=Path.cwd)


class MultiplyJob(_Job):
    """Have a runtime multiply two numbers."""

    kind: Literal["multiply"] = "multiply"
    backend: str


class ModelJob(_Job):
    """Have a model chosen, opened and proven; ``bundle`` is its folder, ``config`` the path of agent.toml."""

    kind: Literal["model"] = "model"
    config: Path
    slot: str
    bundle: Path


class CameraJob(_Job):
    """Have one frame of a camera; arguments as of `ModelJob`. Its source stands in no argument and in no job."""

    kind: Literal["camera"] = "camera"
    config: Path
    camera: str
    bundle: Path


Job = MultiplyJob | ModelJob | CameraJob


class Answer(MachineModel):
    """What was found: ``text`` where it works, ``problem`` where not."""

    text: str = ""
    problem: str = ""


_JOB: TypeAdapter[Job] = TypeAdapter(Annotated[Job, Field(discriminator="kind")])


def carry_out(job: Job) -> str:
    """Do it; says what was done.

    Raises:
        EdgetallyError: it does not work.
    """
    if isinstance(job, MultiplyJob):
        return f"loads, and 6 times 7 is {multiply(job.backend, device_facts()):g}"
    config = explain(job.config).candidate.config
    bundle = open_bundle(job.bundle)
    if isinstance(job, ModelJob):
        return check_artifact(config, config.slots[job.slot], bundle)
    return check_camera(next(one for one in config.camera if one.id == job.camera), bundle)


def main() -> None:
    """Answer once; what runtimes print goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is told; its gigabytes are not written to a card
    job = _JOB.validate_json(sys.stdin.readline())
    os.chdir(job.cwd)
    try:
        answer = Answer(text=carry_out(job))
    except (EdgetallyError, ImportError) as error:  # a runtime whose libraries do not load is found, and is no bug
        answer = Answer(problem=without_credentials(str(error)))
    with answers:
        answers.write(answer.model_dump_json() + "\n")


if __name__ == "__main__":
    sys.exit(run_program(main))
