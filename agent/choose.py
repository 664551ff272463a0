"""Which artifact of a bundle this box takes: filtered by hard facts, each refusal with the fact that differed. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from agent.engines.supply import Awaited, EngineMissingError
from agent.tuning.setting import Setting, how_many, respects, usual_lanes
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
        lanes: inferences at once.
        threads: of each lane.
    """

    artifact: Artifact
    execution_precision: str
    lanes: int
    threads: int

    @property
    def setting(self) -> Setting:
        """What of it can be kept on disk."""
        return setting_of(self.artifact, self.execution_precision, self.lanes, self.threads)


@dataclass(frozen=True)
class Preference:
    """What was measured on this box.

    Args:
        first: what was found to be best.
        why: that, in words and figures.
        behind: artifact id to why it comes after that.
    """

    first: Setting
    why: str
    behind: Mapping[str, str] = field(default_factory=dict)


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


def setting_of(artifact: Artifact, execution_precision: str, lanes: int, threads: int) -> Setting:
    """The setting in which an artifact runs."""
    return Setting(
        artifact=artifact.id,
        digest=artifact.digest,
        execution_precision=execution_precision,
        lanes=lanes,
        threads=threads,
    )


def candidates(
    manifest: Manifest, facts: Facts, wanted: RuntimeConfig, measured: Preference | None = None
) -> tuple[list[Candidate], dict[str, str]]:
    """Artifacts that fit, with how each would be run, best first; and why the others do not.

    The order is the manifest's, fastest first as far as the converter could measure, until this box has measured.

    Args:
        manifest: the bundle's.
        facts: the box's.
        wanted: what was asked for by name; nothing else is taken then.
        measured: what comes first, where it is among what fits and changes nothing that was asked for.
    """
    fitting: list[Candidate] = []
    refused: dict[str, str] = {}
    usual = usual_lanes(wanted, cores(facts))
    for artifact in manifest.artifacts:
        reason = _refusal(artifact, facts, wanted)
        if reason:
            refused[artifact.id] = reason
            continue
        asked = (wanted.execution_precision,) if wanted.execution_precision else artifact.execution_precisions
        fitting += [Candidate(artifact, precision, *usual) for precision in asked]
    # What could not be decided for want of pictures comes after everything that is within its budget for sure.
    fitting = sorted(fitting, key=is_undecided)
    return (_with_first(fitting, measured.first, wanted) if measured else fitting), refused


def _with_first(fitting: list[Candidate], first: Setting, wanted: RuntimeConfig) -> list[Candidate]:
    """What was measured to be best, and after it everything else as it came."""
    known = next((one for one in fitting if one.setting.form == first.form), None)
    if known is None or not respects(first, wanted):
        return fitting
    best = replace(known, lanes=first.lanes, threads=first.threads)
    return [best, *(one for one in fitting if one != best)]


def cores(facts: Facts) -> int:
    """Processor cores of the box; 1 where it does not say."""
    count = facts.get("cpu.count", 1)
    return count if isinstance(count, int) else 1


def is_undecided(candidate: Candidate) -> bool:
    """Whether the pictures were too few to say that it counts well enough."""
    accuracy = candidate.artifact.accuracy.get(candidate.execution_precision)
    return accuracy is not None and accuracy.verdict == "undecided"


def choose(
    manifest: Manifest,
    facts: Facts,
    wanted: RuntimeConfig,
    prove: Callable[[Candidate], list[Lane]],
    measured: Preference | None = None,
) -> Choice:
    """Take the first candidate that opens and passes its self-test, falling down the list with a reason for each.

    Args:
        manifest: the bundle's.
        facts: the box's.
        wanted: what was asked for by name.
        prove: opens the lanes of a candidate and runs the golden self-test.
        measured: see `candidates`.

    Raises:
        NoArtifactFitsError: none is left, and no engine is to be built; it holds every reason.
    """
    fitting, refused = candidates(manifest, facts, wanted, measured)
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
            failed[artifact][_way(candidate, fitting)] = str(error)
            continue
        refused |= {f"{artifact} in {name}": why for name, why in failed.pop(artifact, {}).items()}
        refused |= _told(failed) | _awaited(awaited, artifact)
        behind = measured.behind if measured and candidate.setting == measured.first else {}
        for other in fitting[position + 1 :]:
            if other.artifact.id != artifact:
                refused.setdefault(other.artifact.id, behind.get(other.artifact.id, f"{artifact} comes before it"))
        return Choice(candidate, lanes, refused, tuple(awaited.values()))
    refused |= _told(failed) | _awaited(awaited, "nothing")
    if all(math.isinf(one.seconds) for one in awaited.values()):
        raise NoArtifactFitsError(manifest.model.name, refused)
    return Choice(None, [], refused, tuple(awaited.values()))


def _way(candidate: Candidate, fitting: list[Candidate]) -> str:
    """The execution precision; also lanes and threads where it stands there with others too."""
    same = [one for one in fitting if one.setting.form == candidate.setting.form]
    lanes = "" if len(same) == 1 else f" with {how_many(candidate.lanes, candidate.threads)}"
    return f"{candidate.execution_precision}{lanes}"


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
