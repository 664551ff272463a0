"""A repository with one release, for a memory stick: the metadata as they are, and the files that some boxes need."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from tuf.api.serialization.json import JSONSerializer

from contracts.errors import UnknownNameError
from contracts.manifest import FileEntry, Manifest
from contracts.release import METADATA, blob_path, model_role
from fleet.publishing import roles
from fleet.publishing.change import Repository
from fleet.publishing.check import files_of, read_manifest
from fleet.publishing.errors import ReleaseError, RepositoryError
from fleet.publishing.files import Files, open_files
from fleet.publishing.progress import Progress
from fleet.publishing.publish import find_release
from fleet.publishing.state import (
    TIMESTAMP_PATH,
    Release,
    State,
    load_state,
    role_path,
    root_path,
    snapshot_path,
)


def export(
    repository: Repository, name: tuple[str, str], targets: Sequence[str], to: Path, progress: Progress
) -> tuple[Release, int]:
    """Copy what a box needs to take one release.

    Args:
        repository: that holds it.
        name: model and version.
        targets: whose artifacts are copied; all, and the reports, where empty.
        to: folder; what is there and the same stays.
        progress: told how many bytes are copied.

    Returns:
        The release, and the bytes of its files there.

    Raises:
        ReleaseError: there is no such release, or it was withdrawn.
        UnknownNameError: it has no artifact for one of the targets.
        RepositoryError: the repository is damaged.
    """
    state = load_state(repository.files, repository.trusted)
    release = find_release(state, *name)
    if release.info.withdrawn is not None:
        raise ReleaseError(f"{' '.join(name)} was withdrawn ({release.info.withdrawn.reason}); export another version")
    manifest = read_manifest(repository.files, release)
    if isinstance(manifest, str):
        raise RepositoryError(repository.files.where, manifest, "then export again")
    stick = open_files(str(to.absolute()))
    size = _copy_files(repository.files, stick, _wanted(manifest, targets), progress)
    for path in (release.path, *_metadata(state, name[0])):
        _copy(repository.files, stick, path)
    # As it was read above: by now a newer one may be there, of a snapshot that was not copied.
    stick.replace(TIMESTAMP_PATH, state.timestamp.to_bytes(JSONSerializer(compact=True)))
    return release, size


def _wanted(manifest: Manifest, targets: Sequence[str]) -> list[FileEntry]:
    if not targets:
        return list(files_of(manifest))
    known = {artifact.target for artifact in manifest.artifacts}
    for target in targets:
        if target not in known:
            raise UnknownNameError("target", target, known)
    artifacts = [file for artifact in manifest.artifacts if artifact.target in targets for file in artifact.files]
    golden = [file for sample in manifest.golden for file in (sample.frame, sample.expected)]
    return list({entry.sha256: entry for entry in (*artifacts, *golden)}.values())


def _copy_files(source: Files, stick: Files, entries: Sequence[FileEntry], progress: Progress) -> int:
    total, done = sum(entry.size for entry in entries), 0
    there = stick.sizes("blobs")
    for entry in entries:
        progress("copying", done, total)
        path = blob_path(entry.sha256)
        if there.get(path) != entry.size:
            _copy(source, stick, path, entry.sha256)
        done += entry.size
    return total


def _metadata(state: State, model: str) -> list[str]:
    """Paths of what a reader of this model asks for, but the timestamp."""
    versions = state.snapshot.signed.meta
    named = [role_path(role, versions[f"{role}.json"].version) for role in (roles.TARGETS, model_role(model))]
    chain = [root_path(version) for version in range(1, state.root.signed.version + 1)]
    return [*chain, *named, snapshot_path(state.snapshot.signed.version)]


def _copy(source: Files, stick: Files, path: str, sha256: str | None = None) -> None:
    data = source.read(path)
    if data is None:
        place = METADATA if path.startswith(METADATA) else "a release"
        raise RepositoryError(f"{source.where}/{path}", f"is missing, and {place} needs it", "run `repository check`")
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise RepositoryError(f"{source.where}/{path}", "its digest is another one", "run `repository check`")
    if stick.read(path) != data:
        stick.replace(path, data)
