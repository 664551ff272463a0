"""Releases without a repository."""

from __future__ import annotations

from contracts.manifest import Artifact
from fleet.publishing.errors import ReleaseError
from fleet.rollout.release import RolloutRelease


def release(model: str, version: str, target: str = "x86-onnxruntime", backend: str = "onnxruntime") -> RolloutRelease:
    """One whose artifact needs nothing but its runtime."""
    artifact = Artifact(
        id=f"{target}/fp32",
        target=target,
        backend=backend,
        precision="fp32",
        files=(),
        entry="model",
        requires=(),
        inputs=(),
        outputs=(),
    )
    return RolloutRelease(model, version, "f" * 64, (artifact,))


class MemoryReleases:
    """Some releases.

    Args:
        releases: that there are.
    """

    def __init__(self, *releases: RolloutRelease) -> None:
        self._releases = {(one.model, one.version): one for one in releases}

    def names(self) -> list[str]:
        return [f"{model}@{version}" for model, version in self._releases]

    def find(self, model: str, version: str) -> RolloutRelease:
        if (model, version) not in self._releases:
            raise ReleaseError(f"expected a release, there is no {model} {version}")
        return self._releases[model, version]
