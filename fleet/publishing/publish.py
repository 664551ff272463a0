"""Publishing a bundle, and withdrawing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from tuf.api.metadata import DelegatedRole, Delegations, TargetFile, Targets

from contracts.documents import document_error
from contracts.errors import did_you_mean
from contracts.manifest import MANIFEST_NAME, FileEntry
from contracts.release import (
    BLOBS,
    LARGEST_MANIFEST,
    ReleaseInfo,
    Withdrawn,
    blob_path,
    manifest_path,
    model_paths,
    model_role,
)
from fleet.publishing import roles
from fleet.publishing.change import Change, Repository, apply, body_of
from fleet.publishing.errors import KeyFileError, ReleaseError
from fleet.publishing.progress import Progress
from fleet.publishing.signing import check_keys
from fleet.publishing.state import Release, State
from runtime.bundle import Bundle, open_bundle


@dataclass(frozen=True)
class Published:
    """What a publish did.

    Args:
        release: that boxes can take now.
        new: whether it was not there before.
        files: of the bundle that were copied; the others were in the repository.
        size: bytes of those that were copied.
    """

    release: Release
    new: bool
    files: int = 0
    size: int = 0


def publish(repository: Repository, folder: Path, progress: Progress) -> Published:
    """Release a bundle. Cut short at any moment it is not released, or all of it is; run again it goes on.

    Args:
        repository: to publish in.
        folder: that ``edgetally-convert build`` wrote.
        progress: told how many bytes are verified, and how many are copied.

    Raises:
        BundleError: a file is missing or was changed.
        ReleaseError: another bundle was published under this version, or it was withdrawn.
        KeysMissingError: keys are not at hand; nothing was changed.
        ConflictError: somebody else published meanwhile; nothing is lost.
    """
    bundle = open_bundle(folder)
    manifest = (folder / MANIFEST_NAME).read_bytes()
    if len(manifest) > LARGEST_MANIFEST:
        raise ReleaseError(f"{folder}: its manifest has {len(manifest)} bytes, boxes take {LARGEST_MANIFEST}")
    model, version = bundle.manifest.model.name, bundle.manifest.model.version
    state = repository.state()
    target = TargetFile.from_data(manifest_path(model, version), manifest, ["sha256"])
    there = state.find(model, version)
    if there is not None:
        _check_same(there, target)
        verify(bundle, progress)
        return _published(there, _copy(repository, bundle, there.path, manifest, progress), new=False)
    target.unrecognized_fields["custom"] = _info(repository, bundle, state).model_dump(mode="json")
    change = Change(_with(state, repository, target))
    _check_keys(repository, state, change)
    verify(bundle, progress)
    path = Release(ReleaseInfo.model_validate(target.custom), target).path
    copied = _copy(repository, bundle, path, manifest, progress)
    state = apply(repository, state, change)
    release = state.find(model, version)
    if release is None:
        raise RuntimeError(f"{model} {version} was published and is not there")
    return _published(release, copied, new=True)


def withdraw(repository: Repository, model: str, version: str, reason: str) -> Release:
    """Have no box take a release any more; what runs it goes on.

    Raises:
        ReleaseError: there is none, or it was withdrawn before.
        KeysMissingError: keys are not at hand.
        ConflictError: somebody else published meanwhile.
    """
    state = repository.state()
    release = find_release(state, model, version)
    if release.info.withdrawn is not None:
        raise ReleaseError(f"{model} {version} was withdrawn before: {release.info.withdrawn.reason}")
    try:
        withdrawn = Withdrawn(at=repository.validity.now, reason=reason)
    except ValidationError as error:
        raise document_error(Withdrawn, error, "--reason") from None
    role = model_role(model)
    body = body_of(state.roles[role])
    info = release.info.model_copy(update={"withdrawn": withdrawn})
    body.targets[release.target.path].unrecognized_fields["custom"] = info.model_dump(mode="json")
    return find_release(apply(repository, state, Change({role: body})), model, version)


def find_release(state: State, model: str, version: str) -> Release:
    """A release.

    Raises:
        ReleaseError: there is none.
    """
    release = state.find(model, version)
    if release is None:
        known = [f"{one.info.model} {one.info.version}" for one in state.releases()]
        name = f"{model} {version}"
        hint = did_you_mean(name, known) or "; `edgetally-fleet repository list` shows what there is"
        raise ReleaseError(f"expected a release, there is no {name}{hint}")
    return release


def verify(bundle: Bundle, progress: Progress) -> None:
    """Check every file of a bundle against its manifest.

    Raises:
        BundleError: one is missing or was changed.
    """
    entries = bundle.manifest.files()
    total, done = sum(entry.size for entry in entries), 0
    for entry in entries:
        progress("verifying", done, total)
        bundle.file(entry)
        done += entry.size


def copy_blobs(repository: Repository, bundle: Bundle, progress: Progress) -> Mapping[str, int]:
    """Have every file of a bundle in the repository; those that are there stay.

    Returns:
        Digest to bytes of what was copied.
    """
    wanted = _blobs(bundle)
    there = repository.files.sizes(BLOBS)
    lacking = {path: entry for path, entry in wanted.items() if there.get(path) != entry.size}
    total, done = sum(entry.size for entry in lacking.values()), 0
    for path, entry in lacking.items():
        progress("copying", done, total)
        repository.files.replace(path, bundle.file(entry))  # checked again at this very moment
        done += entry.size
    return {entry.sha256: entry.size for entry in lacking.values()}


def _blobs(bundle: Bundle) -> dict[str, FileEntry]:
    return {blob_path(entry.sha256): entry for entry in bundle.manifest.files()}


def _check_blobs(repository: Repository, bundle: Bundle) -> None:
    """Whoever removes what is not referenced knew nothing of this bundle until now."""
    there = repository.files.sizes(BLOBS)
    gone = [path for path, entry in _blobs(bundle).items() if there.get(path) != entry.size]
    if gone:
        raise ReleaseError(f"{repository.files.where}/{gone[0]} went away while it was published; run it again")


def _published(release: Release, copied: Mapping[str, int], *, new: bool) -> Published:
    return Published(release, new, len(copied), sum(copied.values()))


def _copy(repository: Repository, bundle: Bundle, path: str, manifest: bytes, progress: Progress) -> Mapping[str, int]:
    """Have a bundle's files and its manifest in the repository; what has another size there is replaced."""
    copied = copy_blobs(repository, bundle, progress)
    if repository.files.read(path) != manifest:
        repository.files.replace(path, manifest)
    _check_blobs(repository, bundle)
    return copied


def _check_same(release: Release, target: TargetFile) -> None:
    info = release.info
    if release.target.hashes != target.hashes:
        raise ReleaseError(
            f"{info.model} {info.version} was published before with other content; a version is never used twice: "
            "raise `version` in model.toml and build again"
        )
    if info.withdrawn is not None:
        raise ReleaseError(
            f"{info.model} {info.version} was withdrawn ({info.withdrawn.reason}); raise `version` in model.toml and "
            "build again"
        )


def _info(repository: Repository, bundle: Bundle, state: State) -> ReleaseInfo:
    model = bundle.manifest.model
    numbers = [release.info.release for release in state.of_role(model_role(model.name))]
    try:
        return ReleaseInfo(
            model=model.name,
            version=model.version,
            release=max(numbers, default=0) + 1,
            released=repository.validity.now,
            size=sum(entry.size for entry in _blobs(bundle).values()),
            targets=tuple(sorted({artifact.target for artifact in bundle.manifest.artifacts})),
        )
    except ValidationError as error:
        raise document_error(ReleaseInfo, error, str(bundle.path)) from None


def _with(state: State, repository: Repository, target: TargetFile) -> dict[str, Targets]:
    """The roles that change: the model's and, where it is new, the one that delegates to it."""
    model = target.path.partition("/")[0]
    role = model_role(model)
    if role in state.roles:
        body = body_of(state.roles[role])
        body.targets[target.path] = target
        return {role: body}
    body = Targets(targets={target.path: target})
    return {roles.TARGETS: _delegating(state, repository, model), role: body}


def _delegating(state: State, repository: Repository, model: str) -> Targets:
    keys = repository.keyring.of("release")
    if not keys:
        folders = ", ".join(map(str, repository.keyring.folders))
        raise KeyFileError(folders, "there is no release key", "name the folder of the keys with --keys")
    targets = body_of(state.targets)
    newest = keys[-1]
    delegations = targets.delegations or Delegations({}, {})
    known = delegations.roles or {}
    # The same key for all models, as long as nobody replaced it by hand.
    delegated = DelegatedRole(model_role(model), [newest.keyid], 1, terminating=True, paths=[model_paths(model)])
    targets.delegations = Delegations(
        {**delegations.keys, newest.keyid: newest.public}, {**known, model_role(model): delegated}
    )
    return targets


def _check_keys(repository: Repository, state: State, change: Change) -> None:
    """Find out before the long work what is missing at its end."""
    root = state.root.signed
    targets = change.roles.get(roles.TARGETS, state.targets.signed)
    for role in (roles.SNAPSHOT, roles.TIMESTAMP):
        check_keys(root, role, repository.keyring)
    for role in change.roles:
        check_keys(root if role == roles.TARGETS else targets, role, repository.keyring)
