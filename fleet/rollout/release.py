"""A release of the repository, as a rollout needs it: what tells that a box runs it, and which boxes can."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from contracts.facts import Facts, refusals
from contracts.manifest import Artifact
from fleet.publishing.change import Repository
from fleet.publishing.check import read_manifest
from fleet.publishing.errors import ReleaseError
from fleet.publishing.files import Files
from fleet.publishing.publish import find_release
from fleet.publishing.state import State


@dataclass(frozen=True)
class RolloutRelease:
    """A released bundle.

    Args:
        model: its name.
        version: its version.
        manifest: SHA-256 of its manifest.json.
        artifacts: that it has.
    """

    model: str
    version: str
    manifest: str
    artifacts: tuple[Artifact, ...]

    @property
    def digests(self) -> tuple[str, ...]:
        """Of its artifacts: a box that runs one of them runs the release."""
        return tuple(sorted({artifact.digest for artifact in self.artifacts}))

    @property
    def targets(self) -> tuple[str, ...]:
        """That it has artifacts for."""
        return tuple(sorted({artifact.target for artifact in self.artifacts}))

    def targets_of(self, facts: Facts) -> tuple[str, ...]:
        """Targets whose artifacts a box can run, by its facts."""
        return tuple(sorted({one.target for one in self.artifacts if not _unmet(one, facts)}))

    def misfit(self, facts: Facts) -> str | None:
        """Why a box can run no artifact: what it lacks for the one that it lacks least for; None if it can."""
        unmet = [_unmet(artifact, facts) for artifact in self.artifacts]
        return None if any(not each for each in unmet) else min(unmet, key=lambda each: (len(each), each))[0]


def find(repository: Repository, model: str, version: str) -> RolloutRelease:
    """A release that boxes still take.

    Raises:
        ReleaseError: there is none, it was withdrawn, or its manifest is missing or was changed.
    """
    return found_in(repository.files, repository.state(), model, version)


def found_in(files: Files, state: State, model: str, version: str) -> RolloutRelease:
    """A release that boxes still take, of a state that was read already.

    Raises:
        ReleaseError: there is none, it was withdrawn, or its manifest is missing or was changed.
    """
    release = find_release(state, model, version)
    if release.info.withdrawn is not None:
        raise ReleaseError(f"{model} {version} was withdrawn: {release.info.withdrawn.reason}; publish another version")
    manifest = read_manifest(files, release)
    if isinstance(manifest, str):
        raise ReleaseError(manifest)
    return RolloutRelease(model, version, release.digest, manifest.artifacts)


def _unmet(artifact: Artifact, facts: Facts) -> list[str]:
    """What a box lacks for an artifact; its agent would refuse it for the same."""
    return [*refusals(artifact.requires, facts), *_without_runtime(artifact, facts)]


def _without_runtime(artifact: Artifact, facts: Facts) -> Iterable[str]:
    name = f"runtime.{artifact.backend}"
    return () if name in facts else (f"has no {artifact.backend}",)
