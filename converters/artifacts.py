"""What the manifest says of an artifact that was made and tried."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from contracts.errors import StorageError
from contracts.facts import Requirement, version_key
from contracts.manifest import Artifact, Evidence
from contracts.model_spec import ModelSpec
from contracts.version import VERSION
from converters.evidence import evidence_of
from converters.families.base import Emitted, Recipe
from converters.pack import file_entry
from converters.stages import HOST_FILE, host_stage
from converters.trial import Trial
from runtime.artifact_lanes import HOST_BACKEND, with_rest
from runtime.backends.base import Lane
from runtime.backends.table import open_lanes
from runtime.environment import host_name
from targets.load import Target

_HOST_RUNTIME = "1.20"  # the oldest ONNX Runtime that edgetally allows; it implements every opset that is read
_STRENGTH: tuple[Evidence, ...] = ("built", "emulated", "measured")


@contextmanager
def checking_lanes(target: Target, emitted: Emitted, execution_precision: str) -> Iterator[Sequence[Lane]]:
    """Lanes on this host for what the target's device will run, or for what stands in for it; one a core.

    Raises:
        ArtifactError: the runtime refuses the file.
        DeviceError: this host cannot run it so.
    """
    backend = target.checking_backend
    assert backend is not None  # asked by the ladder
    options = {} if target.checked_with else target.device_options
    file = emitted.stand_in or emitted.entry
    cores = len(os.sched_getaffinity(0))
    lanes = open_lanes(backend, file, execution_precision=execution_precision, lanes=cores, options=options)
    lanes = with_rest(lanes, emitted.rest, _handed_on(emitted), shown=True)
    try:
        yield lanes
    finally:
        for lane in lanes:
            lane.close()


def with_host_stage(emitted: Emitted, rest: Path | None) -> Emitted:
    """The artifact with the stage that follows on the host processor beside it, and what that needs there.

    Args:
        emitted: the first stage.
        rest: ONNX of the stage that follows, if any.

    Raises:
        StorageError: it cannot be written.
    """
    if rest is None:
        return emitted
    placed = emitted.entry.parent / HOST_FILE
    try:
        shutil.copyfile(rest, placed)
    except OSError as error:
        raise StorageError(str(placed), error) from error
    needed = Requirement(fact=f"runtime.{HOST_BACKEND}", at_least=_HOST_RUNTIME)
    return replace(emitted, rest=placed, floors=(*emitted.floors, needed))


def _handed_on(emitted: Emitted) -> tuple[str, ...]:
    return tuple(tensor.name for tensor in emitted.outputs)


def describe(
    root: Path, spec: ModelSpec, target: Target, recipe: Recipe, emitted: Emitted, trials: Sequence[Trial]
) -> Artifact:
    """The manifest's entry of an artifact.

    Args:
        spec: the model.
        root: the folder that its files' paths are relative to.
        target: what it is for.
        recipe: how it was made.
        emitted: what was made.
        trials: what it showed, with each execution precision that it may be run with.
    """
    requires = required(target.requires, emitted.floors)
    after = emitted.rest and host_stage(spec.stage[1].name, emitted.rest, emitted.rest.relative_to(root).as_posix())
    return Artifact(
        id=f"{target.name}/{emitted.precision}",
        target=target.name,
        backend=target.backend,
        precision=emitted.precision,
        files=tuple(file_entry(root, file) for file in sorted(emitted.entry.parent.rglob("*")) if file.is_file()),
        entry=emitted.entry.relative_to(root).as_posix(),
        requires=requires,
        inputs=emitted.inputs,
        outputs=emitted.outputs,
        execution_precisions=tuple(trial.execution_precision for trial in trials),
        parity=tuple(trial.parity for trial in trials),
        options=target.device_options,
        method=recipe.method,
        kept_out=recipe.kept_out,
        tuned={trial.execution_precision: trial.tuned for trial in trials if trial.tuned},
        accuracy={trial.execution_precision: trial.accuracy for trial in trials},
        toolchain={"edgetally": VERSION, "python": platform.python_version(), **emitted.toolchain, **_options(target)},
        evidence=_evidence(target, requires, tried=bool(trials)),
        evidence_device=host_name(),
        checked_with=target.checked_with or None,
        host_stage=after,
    )


def _options(target: Target) -> dict[str, str]:
    """What its family was told; not the manifest's ``options``, which the device's backend is told."""
    return {f"option {name}": value for name, value in target.options.items()}


def _evidence(target: Target, requires: tuple[Requirement, ...], *, tried: bool) -> Evidence:
    """The weakest of what the target allows, what this host is, and whether it ran at all."""
    shown = evidence_of(requires) if tried else "built"
    if target.checked_with and shown == "measured":
        shown = "emulated"  # another backend or device stood in
    return min(shown, target.evidence, key=_STRENGTH.index)


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
