"""Which artifact of a bundle this box takes: filtered by hard facts, each refusal with the fact that differed. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from agent.engines.supply import Awaited, EngineMissingError
from contracts.config import RuntimeConfig
from contracts.errors import ArtifactError, DeviceError, NoArtifactFitsError, WrittenError
from contracts.facts import Facts, refusals
from contracts.manifest import Artifact, Manifest
from runtime.backends.base import Lane
from runtime.backends.table import BACKENDS


@dataclass(frozen=True)
class Candidate:
    """An artifact and how it would be run.

    Args:
        artifact: what would be run.
        execution_precision: what it would compute with.
    """

    artifact: Artifact
    execution_precision: str


@dataclass
class Choice:
    """What was taken, and why the others were not.

    Args:
        candidate: what runs; None where nothing can before an engine is built.
        lanes: opened on it, and proven by the golden self-test.
        refused: artifact id to the reason; of the one that was taken, what it was refused with before, as
            ``<id> in <execution precision>``.
        awaited: the engines of those that come before it, best first.
    """

    candidate: Candidate | None
    lanes: list[Lane]
    refused: dict[str, str] = field(default_factory=dict)
    awaited: tuple[Awaited, ...] = ()


def candidates(manifest: Manifest, facts: Facts, wanted: RuntimeConfig) -> tuple[list[Candidate], dict[str, str]]:
    """Artifacts that fit, with what each would compute with, best first; and why the others do not.

    The order is the manifest's: fastest first as far as the converter could measure.

    Args:
        manifest: the bundle's.
        facts: the box's.
        wanted: an artifact or execution precision that was asked for by name; nothing else is taken then.
    """
    fitting: list[Candidate] = []
    refused: dict[str, str] = {}
    for artifact in manifest.artifacts:
        reason = _refusal(artifact, facts, wanted)
        if reason:
            refused[artifact.id] = reason
            continue
        asked = (wanted.execution_precision,) if wanted.execution_precision else artifact.execution_precisions
        fitting += [Candidate(artifact, precision) for precision in asked]
    # What could not be decided for want of pictures comes after everything that is within its budget for sure.
    return sorted(fitting, key=_undecided), refused


def _undecided(candidate: Candidate) -> bool:
    accuracy = candidate.artifact.accuracy.get(candidate.execution_precision)
    return accuracy is not None and accuracy.verdict == "undecided"


def choose(
    manifest: Manifest,
    facts: Facts,
    wanted: RuntimeConfig,
    prove: Callable[[Candidate], list[Lane]],
) -> Choice:
    """Take the first candidate that opens and passes its self-test, falling down the list with a reason for each.

    Args:
        manifest: the bundle's.
        facts: the box's.
        wanted: what was asked for by name.
        prove: opens the lanes of a candidate and runs the golden self-test.

    Raises:
        NoArtifactFitsError: none is left, and no engine is to be built; it holds every reason.
    """
    fitting, refused = candidates(manifest, facts, wanted)
    failed: dict[str, dict[str, str]] = defaultdict(dict)
    awaited: dict[str, Awaited] = {}
    for position, candidate in enumerate(fitting):
        artifact = candidate.artifact.id
        try:
            lanes = prove(candidate)
        except EngineMissingError as error:
            awaited[artifact] = error.awaited
            continue
        except (ArtifactError, DeviceError, WrittenError) as error:
            failed[artifact][candidate.execution_precision] = str(error)
            continue
        refused |= {f"{artifact} in {name}": why for name, why in failed.pop(artifact, {}).items()}
        refused |= _told(failed) | _awaited(awaited, artifact)
        for other in fitting[position + 1 :]:
            if other.artifact.id != artifact:
                refused.setdefault(other.artifact.id, f"{artifact} comes before it")
        return Choice(candidate, lanes, refused, tuple(awaited.values()))
    refused |= _told(failed) | _awaited(awaited, "nothing")
    if all(math.isinf(one.seconds) for one in awaited.values()):
        raise NoArtifactFitsError(manifest.model.name, refused)
    return Choice(None, [], refused, tuple(awaited.values()))


def _awaited(awaited: Mapping[str, Awaited], serves: str) -> dict[str, str]:
    """Why each that waits for its engine is not taken; what is to be built at once is built one after another."""
    at_once = next((artifact for artifact, one in awaited.items() if one.seconds <= 0), "")
    reasons = {
        artifact: f"its engine is not built; that of {at_once} comes before it" if one.seconds <= 0 else one.problem
        for artifact, one in awaited.items()
    }
    if at_once:
        reasons[at_once] = f"its engine is being built; {serves} serves until then"
    return reasons


def _told(failed: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    return {
        artifact: "; ".join(f"in {name}: {why}" for name, why in reasons.items())
        for artifact, reasons in failed.items()
    }


def _refusal(artifact: Artifact, facts: Facts, wanted: RuntimeConfig) -> str | None:
    if wanted.artifact not in {None, artifact.id}:
        return f"the configuration asks for {wanted.artifact}"
    if artifact.backend not in BACKENDS or artifact.backend == "null":
        return f"needs backend {artifact.backend!r}, this agent has {', '.join(sorted(BACKENDS.keys() - {'null'}))}"
    unmet = refusals(artifact.requires, facts)
    if unmet:
        return "; ".join(unmet)
    if wanted.execution_precision and wanted.execution_precision not in artifact.execution_precisions:
        proven = ", ".join(artifact.execution_precisions)
        return f"was proven with {proven}, the configuration asks for {wanted.execution_precision}"
    return None
