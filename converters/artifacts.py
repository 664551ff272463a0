"""What the manifest says of an artifact that was made and tried."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from contracts.facts import Requirement, version_key
from contracts.manifest import Artifact, Evidence
from contracts.version import VERSION
from converters.evidence import evidence_of
from converters.families.base import Emitted, Recipe
from converters.pack import file_entry
from converters.trial import Trial
from runtime.backends.base import Lane
from runtime.backends.table import open_lanes
from runtime.environment import host_name
from targets.load import Target

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
    try:
        yield lanes
    finally:
        for lane in lanes:
            lane.close()


def describe(root: Path, target: Target, recipe: Recipe, emitted: Emitted, trials: Sequence[Trial]) -> Artifact:
    """The manifest's entry of an artifact.

    Args:
        root: the folder that its files' paths are relative to.
        target: what it is for.
        recipe: how it was made.
        emitted: what was made.
        trials: what it showed, with each execution precision that it may be run with.
    """
    requires = required(target.requires, emitted.floors)
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
        toolchain={"edgetally": VERSION, "python": platform.python_version(), **emitted.toolchain},
        evidence=_evidence(target, requires, tried=bool(trials)),
        evidence_device=host_name(),
        checked_with=target.checked_with or None,
    )


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
