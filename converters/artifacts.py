"""Making the artifacts of a target: emitted, read back, run with each execution precision, compared, described."""

from __future__ import annotations

import platform
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from contracts.errors import DeviceError, ParityError, RuntimeMissingError
from contracts.facts import Requirement, version_key
from contracts.manifest import Artifact, Parity
from contracts.version import VERSION
from converters.evidence import evidence_of, host_name
from converters.families.base import Emitted, Job
from converters.golden import sample_indices
from converters.pack import file_entry
from converters.parity import compare, run_lane, tolerance_of, worst_errors
from converters.source import Model
from converters.table import open_family
from runtime.backends.table import open_lane
from runtime.golden import SLACK
from runtime.results import Tensors
from targets.load import Target

EXACT = "f32"  # the execution precision in which every artifact has to agree with its reference


@dataclass
class Made:
    """Artifacts of a target, and what a person should know about them."""

    artifacts: list[Artifact] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add(self, other: Made) -> None:
        """Take in what another target gave."""
        self.artifacts += other.artifacts
        self.warnings += other.warnings


def artifacts_folder(bundle: Path, target: Target) -> Path:
    """Where a target's artifacts lie in a bundle."""
    return bundle / "artifacts" / target.name


def make_artifacts(bundle: Path, target: Target, job: Job, model: Model) -> Made:
    """Make all artifacts of a target.

    Raises:
        ModelFileError: the target does not take the model.
        RuntimeMissingError: a package that the target needs is not installed here.
        ParityError: the most exact artifact does not compute what the model does. Less exact ones are left out with a
            warning, for the model may lose too much in them.
    """
    family = open_family(target.family)
    made = Made()
    for precision in family.precisions(job, target.precisions):
        folder = artifacts_folder(bundle, target) / precision
        folder.mkdir(parents=True)
        emitted = family.emit(job, precision, folder)
        try:
            parities, warnings = _verify(target, emitted, model)
        except ParityError as error:
            if not made.artifacts:
                raise
            shutil.rmtree(folder)
            made.warnings.append(f"artifact left out: {error}")
            continue
        made.artifacts.append(_describe(bundle, target, emitted, parities))
        made.warnings += warnings
    return made


def _verify(target: Target, emitted: Emitted, model: Model) -> tuple[list[Parity], list[str]]:
    """Parity with each execution precision that this host can run and that stays within its tolerance."""
    name = f"{target.name}/{emitted.precision}"
    passed: list[Parity] = []
    warnings: list[str] = []
    for execution_precision in target.execution_precisions:
        try:
            results = _run(target, emitted, model, execution_precision)
        except DeviceError as error:
            if execution_precision == EXACT or isinstance(error, RuntimeMissingError):
                raise
            warnings.append(f"{name}: execution precision {execution_precision} was not tried here: {error}")
            continue
        tolerance = tolerance_of(execution_precision, rounded=emitted.rounded)
        parity = compare(results, model.reference, execution_precision=execution_precision, tolerance=tolerance)
        problem = _problem(parity, results, model)
        if problem is None:
            passed.append(parity)
        elif execution_precision == EXACT:
            raise ParityError(f"{name}: {problem} against the FP32 reference; choose another target")
        else:
            warnings.append(f"{name}: execution precision {execution_precision} was left out: {problem}")
    return passed, warnings


def _run(target: Target, emitted: Emitted, model: Model, execution_precision: str) -> list[Tensors]:
    lane = open_lane(target.backend, emitted.entry, execution_precision=execution_precision)
    try:
        return run_lane(lane, model.input_name, model.frames.tensors)
    finally:
        lane.close()


def _problem(parity: Parity, results: list[Tensors], model: Model) -> str | None:
    """Why an artifact may not be run so, or None.

    Beside the error over all frames, the error of each golden sample by itself counts: that is what a device tests.
    """
    worst = max(parity.outputs, key=lambda output: output.max_error)
    if not parity.passed:
        return _off(parity.execution_precision, worst.output, worst.max_error, worst.tolerance, len(results))
    for index in sample_indices(model.reference):
        for output, error in worst_errors(results[index : index + 1], model.reference[index : index + 1]).items():
            if not error <= worst.tolerance * SLACK:
                return _off(parity.execution_precision, output, error, worst.tolerance * SLACK, 1)
    return None


def _off(execution_precision: str, output: str, error: float, allowed: float, frames: int) -> str:
    where = "a golden sample" if frames == 1 else f"{frames} frames"
    return (
        f"run in {execution_precision}, output {output!r} is off by {error:.2g} of its range on {where}, "
        f"at most {allowed:.2g} is allowed"
    )


def _describe(bundle: Path, target: Target, emitted: Emitted, parities: list[Parity]) -> Artifact:
    return Artifact(
        id=f"{target.name}/{emitted.precision}",
        target=target.name,
        backend=target.backend,
        precision=emitted.precision,
        files=tuple(file_entry(bundle, file) for file in sorted(emitted.entry.parent.iterdir())),
        entry=emitted.entry.relative_to(bundle).as_posix(),
        requires=required(target.requires, emitted.floors),
        inputs=emitted.inputs,
        outputs=emitted.outputs,
        execution_precisions=tuple(parity.execution_precision for parity in parities),
        parity=tuple(parities),
        toolchain={"edgetally": VERSION, "python": platform.python_version(), **emitted.toolchain},
        evidence=evidence_of(target.requires),
        evidence_device=host_name(),
    )


def required(of_target: tuple[Requirement, ...], floors: tuple[Requirement, ...]) -> tuple[Requirement, ...]:
    """The target's requirements, with its version floors raised to what the file itself needs."""
    highest: dict[str, Requirement] = {}
    others: list[Requirement] = []
    for requirement in (*of_target, *floors):
        if requirement.at_least is None:
            others.append(requirement)
            continue
        known = highest.get(requirement.fact)
        if known is None or version_key(requirement.at_least) > version_key(known.at_least):
            highest[requirement.fact] = requirement
    return (*others, *highest.values())
