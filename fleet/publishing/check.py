"""Looking whether a repository is whole: every signature, every digest, and what nothing refers to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from contracts.errors import ServerError
from contracts.manifest import FileEntry, Manifest
from contracts.release import BLOBS, METADATA, TARGETS, Blob, blob_path
from fleet.publishing.change import Repository, free_snapshot
from fleet.publishing.files import Files
from fleet.publishing.progress import Progress
from fleet.publishing.refresh import alarms
from fleet.publishing.state import Release, State, load_state, snapshot_path


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Args:
        problems: files that are missing or wrong, a sentence each.
        alarms: signatures that end soon or have ended, a sentence each.
        unfinished: whether a publish was cut short that the next command finishes.
        unreferenced: path to bytes of files that no reader needs.
        releases: that were looked at.
        files: whose digests were computed.
        size: bytes of those.
    """

    problems: tuple[str, ...]
    alarms: tuple[str, ...]
    unfinished: bool
    unreferenced: dict[str, int]
    releases: int
    files: int
    size: int


def check(repository: Repository, progress: Progress) -> Finding:
    """Check a repository; nothing of it is changed, and no key is needed.

    Raises:
        RepositoryError: its metadata cannot be trusted.
        ServerError: it cannot be read.
    """
    files = repository.files
    state = load_state(files, repository.trusted)
    version = free_snapshot(repository, state)
    unfinished = state.unfinished or files.read(snapshot_path(version)) is not None
    problems: list[str] = []
    blobs: dict[str, Blob] = {}
    for release in state.releases():
        manifest = read_manifest(files, release)
        if isinstance(manifest, str):
            problems.append(manifest)
        else:
            blobs |= {entry.sha256: Blob(sha256=entry.sha256, size=entry.size) for entry in manifest.files()}
    problems += _check_blobs(files, list(blobs.values()), progress)
    return Finding(
        problems=tuple(problems),
        alarms=tuple(alarms(state, repository.validity.now)),
        unfinished=unfinished,
        unreferenced=unreferenced(files, state, set(blobs)),
        releases=len(list(state.releases())),
        files=len(blobs),
        size=sum(blob.size for blob in blobs.values()),
    )


def read_manifest(files: Files, release: Release) -> Manifest | str:
    """A release's manifest, or what is wrong with it."""
    data = files.read(release.path)
    where = f"{files.where}/{release.path}"
    if data is None:
        return f"{where}: is missing; publish the bundle again"
    if hashlib.sha256(data).hexdigest() != release.digest or len(data) != release.target.length:
        return f"{where}: was changed; remove it and publish the bundle again"
    try:
        return Manifest.model_validate_json(data)
    except ValidationError:
        return f"{where}: is no manifest that this edgetally reads; update edgetally"


def files_of(manifest: Manifest) -> tuple[FileEntry, ...]:
    """Files of a bundle, each content once."""
    return tuple({entry.sha256: entry for entry in manifest.files()}.values())


def unreferenced(files: Files, state: State, blobs: set[str]) -> dict[str, int]:
    """Path to bytes of every file that no reader needs.

    Args:
        files: of the repository.
        state: of it.
        blobs: digests that its manifests name.

    Raises:
        ServerError: it cannot be listed.
    """
    needed = state.paths() | {release.path for release in state.releases()} | {blob_path(blob) for blob in blobs}
    found = {path: size for folder in (METADATA, TARGETS, BLOBS) for path, size in files.sizes(folder).items()}
    return {path: size for path, size in sorted(found.items()) if path not in needed}


def _check_blobs(files: Files, blobs: list[Blob], progress: Progress) -> Iterator[str]:
    there = files.sizes(BLOBS)
    total, done = sum(blob.size for blob in blobs), 0
    for blob in blobs:
        progress("checking", done, total)
        path = blob_path(blob.sha256)
        size = there.get(path)
        if size is None:
            yield f"{files.where}/{path}: is missing; publish its bundle again"
        elif size != blob.size:
            yield f"{files.where}/{path}: expected {blob.size} bytes, got {size}; publish its bundle again"
        elif problem := _wrong_digest(files, path, blob):
            yield problem
        done += blob.size


def _wrong_digest(files: Files, path: str, blob: Blob) -> str | None:
    digest = hashlib.sha256()
    try:
        for chunk in files.chunks(path):
            digest.update(chunk)
    except ServerError as error:
        return str(error)
    if digest.hexdigest() != blob.sha256:
        return f"{files.where}/{path}: its digest is another one; remove it and publish its bundle again"
    return None
