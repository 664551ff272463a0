"""The process that opens a new bundle first, beside what counts: ``python -m agent.update.selftest_child``.

What crashes a runtime, hangs in it or takes all memory does so here. It reads a job on the first line of stdin, does
what the agent would do with the bundle (choose, open, prove on the golden samples), measures what came of it, and
writes one line of JSON.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from agent.choose import Candidate, Choice, Preference, choose
from agent.engines.supply import EngineSupply
from agent.model import open_proven
from agent.tuning.measuring import Caller, measure, road_for, warm
from agent.tuning.rules import Figures
from agent.tuning.setting import Setting, runs_on_processor
from contracts.config import RuntimeConfig
from contracts.documents import MachineModel
from contracts.errors import BundleError, EdgetallyError, GoldenError, NoArtifactFitsError
from contracts.facts import FactValue
from contracts.update import UpdateCode
from runtime.backends.base import Lane
from runtime.bundle import Bundle, open_bundle
from runtime.console import run_program
from runtime.environment import peak_mb


class SelfTestJob(MachineModel):
    """What is tested, and as what.

    Attributes:
        bundle: its folder.
        facts: the box's.
        wanted: what the configuration asks for by name.
        engines: folder of the box's engines.
        measured: the setting that was found to be best, where that was measured.
        seconds: of the measurement.
    """

    bundle: Path
    facts: dict[str, FactValue]
    wanted: RuntimeConfig = RuntimeConfig()
    engines: Path
    measured: Setting | None = None
    seconds: float = Field(1.0, gt=0)


class SelfTestResult(MachineModel):
    """What a new bundle does on this box.

    Attributes:
        setting: what the agent would run.
        on_processor: whether on the box's processor, not on an accelerator.
        samples: golden samples that it passed.
        figures: its speed with all lanes, as if the box did nothing else (`agent.tuning.measuring`); on an accelerator
            that something else uses too it is what was left of it.
        peak_mb: peak resident memory of the process, in MB of 10^6 bytes.
        refused: artifact id to why it was not taken.
    """

    setting: Setting
    on_processor: bool
    samples: int
    figures: Figures
    peak_mb: float
    refused: dict[str, str] = Field(default_factory=dict)

    @property
    def frame_ms(self) -> float:
        """Milliseconds that a frame takes in its lane while all lanes run."""
        return 1000 * self.setting.lanes / self.figures.fps


class Answer(MachineModel):
    """What the process writes: a result, or what is wrong with the bundle."""

    result: SelfTestResult | None = None
    code: UpdateCode | None = None
    problem: str = ""


def try_bundle(job: SelfTestJob) -> Answer:
    """Open, prove and measure a bundle in this very process."""
    failures: dict[str, EdgetallyError] = {}
    bundle = open_bundle(job.bundle)
    engines = EngineSupply(job.engines, job.facts)

    def prove(candidate: Candidate) -> list[Lane]:
        try:
            return open_proven(bundle, candidate, engines)
        except EdgetallyError as error:
            failures[candidate.artifact.id] = error
            raise

    measured = None if job.measured is None else Preference(job.measured, "it was measured to be best")
    try:
        choice = choose(bundle.manifest, job.facts, job.wanted, prove, measured)
    except NoArtifactFitsError as error:
        return _refused(error, failures)
    if choice.candidate is None:
        return Answer(code="build_failed", problem=_told(choice.refused))
    with contextlib.ExitStack() as closing:
        for lane in choice.lanes:
            closing.callback(lane.close)
        return Answer(result=_measured(job, bundle, choice, choice.candidate))


def _refused(error: NoArtifactFitsError, failures: Mapping[str, EdgetallyError]) -> Answer:
    """Why nothing of it is taken: of those that fit, where some do."""
    tried = {artifact: why for artifact, why in error.refusals.items() if artifact in failures}
    kinds = [type(failure) for failure in failures.values()]
    code: UpdateCode = "no_artifact_fits"
    if any(issubclass(kind, GoldenError) for kind in kinds):
        code = "golden_mismatch"
    elif any(issubclass(kind, BundleError) for kind in kinds):
        code = "bundle_invalid"
    return Answer(code=code, problem=_told(tried or error.refusals))


def _measured(job: SelfTestJob, bundle: Bundle, choice: Choice, taken: Candidate) -> SelfTestResult:
    pictures, placement = road_for(bundle.manifest.model.input)
    spec = taken.artifact.tuned_spec(bundle.manifest.model, taken.execution_precision)
    (tensor,) = taken.artifact.inputs
    callers = [Caller(lane, spec, tensor.name, placement) for lane in choice.lanes]
    warm(callers, pictures)
    return SelfTestResult(
        setting=taken.setting,
        on_processor=runs_on_processor(taken.artifact),
        samples=len(bundle.manifest.golden),
        figures=measure(callers, pictures, job.seconds),
        peak_mb=peak_mb(),
        refused=choice.refused,
    )


def _told(reasons: Mapping[str, str]) -> str:
    return "; ".join(f"{artifact}: {why}" for artifact, why in reasons.items()) or "the bundle holds no artifact"


def main() -> None:
    """Answer once; what runtimes print goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is told; its gigabytes are not written to a card
    job = SelfTestJob.model_validate_json(sys.stdin.readline())
    try:
        answer = try_bundle(job)
    except EdgetallyError as error:
        code: UpdateCode = "bundle_invalid" if isinstance(error, BundleError) else "selftest_crashed"
        answer = Answer(code=code, problem=str(error))
    with answers:
        answers.write(answer.model_dump_json() + "\n")


if __name__ == "__main__":
    sys.exit(run_program(main))
