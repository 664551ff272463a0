"""Timing what was made, where it runs on this host, and putting the fastest first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from contracts.errors import EdgetallyError
from contracts.facts import refusals
from contracts.manifest import Artifact
from contracts.measurement import Benchmark
from contracts.model_spec import ModelSpec
from converters.bench import job_of, run_benchmark
from converters.ladder import Tell
from converters.made import Made
from converters.report.rows import Row
from converters.request import Measuring
from converters.speed import default_precision, ranked
from runtime.environment import host_facts
from runtime.measure import FULL, QUICK, Effort


def measure_and_rank(made: Made, bundle: Path, spec: ModelSpec, measuring: Measuring, tell: Tell) -> Made:
    """Time every artifact that ran here as on its device, with each execution precision, and order all by it.

    Args:
        made: what was made.
        bundle: the folder that the artifacts' paths are relative to.
        spec: the model.
        measuring: how long.
        tell: told what is measured.

    Returns:
        The same with benchmarks; artifacts and their execution precisions are in the order in which a device tries
        them until it has measured itself: what is within the budget for sure first, then by frames a second here.
    """
    if measuring == "none":
        return made
    effort = FULL if measuring == "full" else QUICK
    facts = host_facts()
    rows = list(made.rows)
    artifacts = []
    for artifact in made.artifacts:
        if artifact.evidence != "measured" or refusals(artifact.requires, facts):
            artifacts.append(artifact)
            continue
        benchmarks, problems = _benchmarks(artifact, bundle, spec, effort, tell)
        rows = [_with_benchmark(row, artifact, benchmarks, problems) for row in rows]
        artifacts.append(artifact.model_copy(update={"benchmarks": tuple(benchmarks)}))
    ordered = sorted((_precisions_ordered(artifact) for artifact in artifacts), key=_artifact_key)
    return Made(ordered, list(ranked(rows)), made.warnings)


def _benchmarks(
    artifact: Artifact, bundle: Path, spec: ModelSpec, effort: Effort, tell: Tell
) -> tuple[list[Benchmark], dict[str, str]]:
    benchmarks, problems = [], {}
    setting = (_cpus(), 1)  # a lane a core: what the agent takes by default
    for precision in artifact.execution_precisions:
        tell(f"measuring {artifact.id} in {precision}")
        job = job_of(bundle, artifact, spec, precision, setting, effort)
        try:
            benchmarks.append(run_benchmark(job))
        except EdgetallyError as error:
            problems[precision] = f"not measured: {error}"
    return benchmarks, problems


def _with_benchmark(row: Row, artifact: Artifact, benchmarks: Sequence[Benchmark], problems: dict[str, str]) -> Row:
    if row.artifact != artifact.id or row.execution_precision is None:
        return row
    found = next((one for one in benchmarks if one.execution_precision == row.execution_precision), None)
    problem = problems.get(row.execution_precision, "")
    default = default_precision(artifact.backend, artifact.options, host_facts())
    changes = {
        "benchmark": found,
        "default_precision": default,
        "reason": "; ".join(filter(None, (row.reason, problem))),
    }
    return row.model_copy(update=changes)


def _precisions_ordered(artifact: Artifact) -> Artifact:
    names = sorted(artifact.execution_precisions, key=lambda name: _key(artifact, name))
    return artifact.model_copy(update={"execution_precisions": tuple(names)})


def _artifact_key(artifact: Artifact) -> tuple[bool, bool, float]:
    return min(_key(artifact, name) for name in artifact.execution_precisions)


def _key(artifact: Artifact, execution_precision: str) -> tuple[bool, bool, float]:
    """Undecided last; then what was measured, fastest first; the others as they came."""
    accuracy = artifact.accuracy.get(execution_precision)
    fps = next((one.fps for one in artifact.benchmarks if one.execution_precision == execution_precision), None)
    return (accuracy is not None and accuracy.verdict == "undecided", fps is None, -(fps or 0.0))


def _cpus() -> int:
    count = host_facts()["cpu.count"]
    assert isinstance(count, int)
    return count
