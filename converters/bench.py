"""Measuring artifacts on this host, each in a process of its own, and saying why the others were not."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from pydantic import ValidationError

import runtime
from contracts.documents import document_error
from contracts.errors import ArtifactError, DeviceError, EdgetallyError
from contracts.facts import Facts, refusals
from contracts.manifest import Artifact
from contracts.measurement import Benchmark
from contracts.model_spec import ModelSpec
from converters.processes import last_line, signal_name
from converters.report.rows import Row, Status
from converters.speed import default_precision, ranked
from runtime.artifact_lanes import handed_on
from runtime.backends.table import BACKENDS
from runtime.bundle import Bundle
from runtime.environment import host_facts
from runtime.measure import FULL, Effort, MeasureJob

TIME_LIMIT_S = 900.0  # of one measurement; a graph of 2 s an inference takes about 800 s by the rule

Setting = tuple[int, int]
"""Lanes, and threads of each."""
Progress = Callable[[str, int, int], None]
"""Called with what begins, how many are done and how many there are."""


def run_benchmark(job: MeasureJob, *, time_limit_s: float = TIME_LIMIT_S) -> Benchmark:
    """Measure one artifact in a process of its own.

    Args:
        job: its ``model_file`` may be relative to the present folder.
        time_limit_s: seconds that it may take.

    Raises:
        DeviceError: it cannot be run here, took too long, or its runtime crashed; with what it said last.
    """
    with tempfile.TemporaryDirectory(prefix="edgetally-measure-") as folder:
        file = Path(folder, "job.json")
        host_file = job.host_file and job.host_file.absolute()
        absolute = job.model_copy(update={"model_file": job.model_file.absolute(), "host_file": host_file})
        file.write_text(absolute.model_dump_json())
        command = [sys.executable, "-m", "runtime.measure", str(file)]
        try:
            # In a folder of its own, so that nothing that lies about in the present one is imported.
            done = subprocess.run(  # noqa: S603 - ours
                command, capture_output=True, timeout=time_limit_s, check=False, cwd=folder, env=_environment()
            )
        except subprocess.TimeoutExpired:
            raise DeviceError(
                f"{_what(job)} was not measured within {time_limit_s:g} s; measure it with --quick, or on a faster box"
            ) from None
    if done.returncode != 0:
        raise DeviceError(f"{_what(job)} was not measured: {_last_words(done.returncode, done.stderr)}")
    return _answer(job, done.stdout)


def bench(
    bundle: Bundle,
    *,
    effort: Effort = FULL,
    only: Collection[str] = (),
    progress: Progress = lambda _what, _done, _total: None,
    time_limit_s: float = TIME_LIMIT_S,
) -> tuple[Row, ...]:
    """Measure every artifact of a bundle that fits this host, with each execution precision and setting.

    Args:
        bundle: the files of what is measured are checked first.
        effort: how long each is measured.
        only: ids of artifacts; all of them where empty.
        progress: follows the measurements.
        time_limit_s: seconds that one measurement may take.

    Returns:
        A row for each measurement, ranked by speed, and one for each artifact that does not fit, with the reason.

    Raises:
        BundleError: ``only`` names one that the bundle lacks, or a file was changed.
    """
    wanted = [bundle.artifact(name) for name in only] or list(bundle.manifest.artifacts)
    facts = host_facts()
    rows = [_not_run(artifact, reason) for artifact in wanted if (reason := _refusal(artifact, facts))]
    fitting = [artifact for artifact in wanted if not _refusal(artifact, facts)]
    plan = [(a, p, s) for a in fitting for p in a.execution_precisions for s in settings(_cpus(facts))]
    for number, (artifact, precision, setting) in enumerate(plan):
        progress(f"{artifact.id} in {precision}, {setting_text(setting)}", number, len(plan))
        bundle.entry(artifact)  # checks every file of it
        job = job_of(bundle.path, artifact, bundle.manifest.model, precision, setting, effort)
        rows.append(_measured(artifact, job, time_limit_s))
    order = {artifact.id: number for number, artifact in enumerate(wanted)}
    return ranked(sorted(rows, key=lambda row: order[row.artifact or ""]))


def settings(cpus: int) -> list[Setting]:
    """What is worth comparing on a box: one lane with all its threads, and a lane a core with one thread each."""
    return list(dict.fromkeys([(1, cpus), (cpus, 1)]))


def setting_text(setting: Setting) -> str:
    """``2 lanes x 1 thread``."""
    (lanes, threads) = setting
    return f"{lanes} lane{'s' * (lanes > 1)} x {threads} thread{'s' * (threads > 1)}"


def job_of(
    bundle: Path, artifact: Artifact, spec: ModelSpec, execution_precision: str, setting: Setting, effort: Effort
) -> MeasureJob:
    """What measuring an artifact of the bundle in a folder takes.

    Raises:
        ArtifactError: it has not one input.
    """
    if len(artifact.inputs) != 1:
        raise ArtifactError(f"{artifact.id}: expected one input, got {len(artifact.inputs)}; build the bundle again")
    return MeasureJob(
        model_file=bundle / artifact.entry,
        backend=artifact.backend,
        options=artifact.options,
        execution_precision=execution_precision,
        lanes=setting[0],
        threads=setting[1],
        spec=artifact.tuned_spec(spec, execution_precision),
        input_name=artifact.inputs[0].name,
        host_file=bundle / artifact.host_stage.entry if artifact.host_stage else None,
        handed_on=handed_on(artifact),
        effort=effort,
    )


def _refusal(artifact: Artifact, facts: Facts) -> str:
    known = BACKENDS.keys() - {"null"}  # which computes nothing
    if artifact.backend not in known:
        return f"needs backend {artifact.backend!r}, this edgetally has {', '.join(sorted(known))}"
    return "; ".join(refusals(artifact.requires, facts))


def _measured(artifact: Artifact, job: MeasureJob, time_limit_s: float) -> Row:
    try:
        benchmark = run_benchmark(job, time_limit_s=time_limit_s)
    except EdgetallyError as error:
        return _row(artifact, "failed", job.execution_precision, reason=str(error))
    default = default_precision(artifact.backend, artifact.options, host_facts())
    row = _row(artifact, "kept", job.execution_precision, benchmark=benchmark)
    return row.model_copy(update={"default_precision": default})


def _not_run(artifact: Artifact, reason: str) -> Row:
    return _row(artifact, "not run", None, reason=reason)


def _row(
    artifact: Artifact, status: Status, precision: str | None, *, reason: str = "", benchmark: Benchmark | None = None
) -> Row:
    parity = [parity for parity in artifact.parity if parity.execution_precision == precision]
    errors = [output.max_error for each in parity for output in each.outputs]
    return Row(
        target=artifact.target,
        precision=artifact.precision,
        execution_precision=precision,
        status=status,
        reason=reason,
        artifact=artifact.id,
        bytes=artifact.size,
        method=artifact.method,
        kept_out=artifact.kept_out,
        accuracy=artifact.accuracy.get(precision or ""),
        benchmark=benchmark,
        max_error=max(errors, default=None),
        evidence=artifact.evidence,
        evidence_device=artifact.evidence_device,
    )


def _cpus(facts: Facts) -> int:
    count = facts["cpu.count"]
    assert isinstance(count, int)
    return count


def _environment() -> Mapping[str, str]:
    """Ours, with the folder that our packages lie in: the process may be started from a checkout."""
    folders = [str(Path(runtime.__file__ or "").parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(folder for folder in folders if folder)}


def _answer(job: MeasureJob, stdout: bytes) -> Benchmark:
    try:
        return Benchmark.model_validate_json(stdout)
    except ValidationError as error:
        problem = document_error(Benchmark, error, "its process's answer")
        raise DeviceError(f"{_what(job)} was not measured: {problem}") from None


def _what(job: MeasureJob) -> str:
    setting = setting_text((job.lanes, job.threads))
    return f"{job.model_file.name} with {job.backend} in {job.execution_precision}, {setting},"


def _last_words(returncode: int, stderr: bytes) -> str:
    """The last line that a process said; how it ended where that was not of its own will."""
    said = last_line(stderr).removeprefix("error: ")
    if returncode >= 0:
        return said or f"its process ended with {returncode} and said nothing"
    return f"its process was ended by {signal_name(-returncode)} {f'after: {said}' if said else ''}".rstrip()
