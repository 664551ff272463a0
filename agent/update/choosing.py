"""What of a released bundle this box takes: the artifacts that fit, and the files that go with them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from agent.choose import candidates
from agent.counting.counter import open_counter
from agent.update.errors import UpdateError
from contracts.config import CameraConfig, RuntimeConfig
from contracts.errors import DocumentError, NoArtifactFitsError
from contracts.facts import Facts
from contracts.manifest import Artifact, FileEntry, Manifest


def fitting(manifest: Manifest, facts: Facts, wanted: RuntimeConfig) -> list[Artifact]:
    """The artifacts that this box can run, best first; which of them is best here is measured later.

    Raises:
        UpdateError: none fits; it says why, artifact by artifact.
    """
    found, refused = candidates(manifest, facts, wanted)
    if not found:
        raise UpdateError("no_artifact_fits", str(NoArtifactFitsError(manifest.model.name, refused)))
    return list({one.artifact.id: one.artifact for one in found}.values())


def files_of(manifest: Manifest, artifacts: Sequence[Artifact]) -> list[FileEntry]:
    """Their files, and the golden samples that they are proven on; each once."""
    samples = [entry for sample in manifest.golden for entry in (sample.frame, sample.expected)]
    entries = [*(entry for artifact in artifacts for entry in artifact.files), *samples]
    return list({entry.path: entry for entry in entries}.values())


def check_countable(manifest: Manifest, cameras: Sequence[CameraConfig]) -> None:
    """Refuse a model that the cameras' lines, zones and labels cannot be counted with.

    Raises:
        UpdateError: so it is.
    """
    try:
        for camera in cameras:
            open_counter(camera, manifest.model)
    except DocumentError as error:
        reason = f"{error}; change the camera's settings first, or release a model that fits them"
        raise UpdateError("cannot_count", reason) from error
