"""What a repository holds, after every signature was checked up from the root that is trusted here.

Metadata that comes out of the repository is signed again by what is published on top of it, so nothing of it is
believed because it lies there. That it has expired is no reason to refuse it: it is then to be signed anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeVar

from pydantic import ValidationError
from tuf.api.exceptions import LengthOrHashMismatchError, UnsignedMetadataError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from contracts.release import METADATA, TARGETS, ReleaseInfo, manifest_path, model_role
from fleet.publishing import roles
from fleet.publishing.errors import RepositoryError
from fleet.publishing.files import Files

_T = TypeVar("_T", Root, Timestamp, Snapshot, Targets)

TIMESTAMP_PATH = f"{METADATA}/timestamp.json"
_MODELS = model_role("")  # what the names of all models' roles begin with
_DAMAGED = "do not publish on top of it; find out who wrote it, and restore the folder from a backup"


@dataclass(frozen=True)
class Release:
    """A release as its role signs it.

    Args:
        info: what is known of it.
        target: its manifest, as a TUF target.
    """

    info: ReleaseInfo
    target: TargetFile

    @property
    def digest(self) -> str:
        """SHA-256 of its manifest.json."""
        return self.target.hashes["sha256"]

    @property
    def path(self) -> str:
        """Of its manifest in the repository."""
        return f"{TARGETS}/{self.target.get_prefixed_paths()[0]}"


@dataclass(frozen=True)
class State:
    """The metadata of a repository at one moment; to be copied, not changed.

    Args:
        root: newest one.
        timestamp: what readers ask for first.
        snapshot: what it names.
        roles: ``targets`` and the models' roles, as the snapshot names them.
        unfinished: keys were changed, and the timestamp that the new ones sign is missing; nothing but the version of
            the one that is there is believed.
    """

    root: Metadata[Root]
    timestamp: Metadata[Timestamp]
    snapshot: Metadata[Snapshot]
    roles: Mapping[str, Metadata[Targets]]
    unfinished: bool = False

    @property
    def targets(self) -> Metadata[Targets]:
        """The top-level role, which names the others."""
        return self.roles[roles.TARGETS]

    def releases(self) -> Iterator[Release]:
        """Every release, by model and in order.

        Raises:
            RepositoryError: one says of itself what cannot be read.
        """
        for role in sorted(self.roles):
            if role != roles.TARGETS:
                yield from sorted(self.of_role(role), key=lambda release: release.info.release)

    def of_role(self, role: str) -> list[Release]:
        """The releases of a model's role; none where there is no such role.

        Raises:
            RepositoryError: one says of itself what cannot be read.
        """
        if role not in self.roles:
            return []
        return [_release(role, target) for target in self.roles[role].signed.targets.values()]

    def find(self, model: str, version: str) -> Release | None:
        """A release; None where there is none."""
        path = manifest_path(model, version)
        return next((one for one in self.of_role(model_role(model)) if one.target.path == path), None)

    def paths(self) -> set[str]:
        """The metadata files that a reader needs now, all roots among them."""
        named = {f"{METADATA}/{meta.version}.{name}" for name, meta in self.snapshot.signed.meta.items()}
        chain = {root_path(version) for version in range(1, self.root.signed.version + 1)}
        return {*named, *chain, TIMESTAMP_PATH, snapshot_path(self.snapshot.signed.version)}


def root_path(version: int) -> str:
    """Where a root is."""
    return f"{METADATA}/{version}.root.json"


def snapshot_path(version: int) -> str:
    """Where a snapshot is."""
    return f"{METADATA}/{version}.snapshot.json"


def role_path(role: str, version: int) -> str:
    """Where the metadata of ``targets`` or of a model's role are."""
    return f"{METADATA}/{version}.{role}.json"


def load_state(files: Files, trusted: bytes) -> State:
    """Read and check a repository's metadata.

    Args:
        files: of the repository.
        trusted: root.json that is trusted.

    Raises:
        RepositoryError: there is no repository, or not one that this root answers for.
        ServerError: it cannot be read.
    """
    root = load_root(files, trusted)
    data = files.read(TIMESTAMP_PATH)
    if data is None:
        raise RepositoryError(files.where, "there is no repository", "make one with `edgetally-fleet repository init`")
    timestamp = _parsed(files, TIMESTAMP_PATH, data, Timestamp)
    try:
        _check(files, TIMESTAMP_PATH, root.signed, roles.TIMESTAMP, timestamp)
        return load_snapshot(files, root, timestamp, timestamp.signed.snapshot_meta)
    except RepositoryError:
        state = _with_new_keys(files, root, timestamp)
        if state is None:
            raise
        return state


def _with_new_keys(files: Files, root: Metadata[Root], timestamp: Metadata[Timestamp]) -> State | None:
    """The snapshot that new keys signed before their root was written; None where there is none."""
    found: State | None = None
    version = timestamp.signed.snapshot_meta.version + 1
    while (data := files.read(snapshot_path(version))) is not None:
        meta = MetaFile.from_data(version, data, ["sha256"])
        with contextlib.suppress(RepositoryError):
            found = replace(load_snapshot(files, root, timestamp, meta), unfinished=True)
        version += 1
    return found


def load_root(files: Files, trusted: bytes) -> Metadata[Root]:
    """The newest root that follows from the trusted one.

    Raises:
        RepositoryError: one of those between is not signed by the one before.
    """
    root = _parsed(files, "the trusted root.json", trusted, Root)
    _check(files, "the trusted root.json", root.signed, roles.ROOT, root)
    while (data := files.read(path := root_path(root.signed.version + 1))) is not None:
        following = _parsed(files, path, data, Root)
        if following.signed.version != root.signed.version + 1:
            raise RepositoryError(f"{files.where}/{path}", f"says it is {following.signed.version}", _DAMAGED)
        _check(files, path, root.signed, roles.ROOT, following)
        _check(files, path, following.signed, roles.ROOT, following)
        root = following
    return root


def load_snapshot(files: Files, root: Metadata[Root], timestamp: Metadata[Timestamp], meta: MetaFile) -> State:
    """The state that a snapshot names.

    Args:
        files: of the repository.
        root: newest one.
        timestamp: of the state; it may name an older snapshot.
        meta: the snapshot that is wanted.

    Raises:
        RepositoryError: a file is missing, was changed or is not signed.
    """
    path = snapshot_path(meta.version)
    snapshot = _read(files, path, Snapshot, meta)
    _check(files, path, root.signed, roles.SNAPSHOT, snapshot)
    path, meta = _named(snapshot, roles.TARGETS)
    targets = _read(files, path, Targets, meta)
    _check(files, path, root.signed, roles.TARGETS, targets)
    found = {roles.TARGETS: targets}
    for role in delegated(targets.signed):
        if role.startswith(_MODELS):
            path, meta = _named(snapshot, role)
            found[role] = _read(files, path, Targets, meta)
            _check(files, path, targets.signed, role, found[role])
    return State(root, timestamp, snapshot, MappingProxyType(found))


def delegated(targets: Targets) -> list[str]:
    """Names of the roles that targets delegates to."""
    return list(targets.delegations.roles or ()) if targets.delegations else []


def _named(snapshot: Metadata[Snapshot], role: str) -> tuple[str, MetaFile]:
    meta = snapshot.signed.meta.get(f"{role}.json", MetaFile(1))
    return role_path(role, meta.version), meta


def _read(files: Files, path: str, kind: type[_T], meta: MetaFile) -> Metadata[_T]:
    data = files.read(path)
    if data is None:
        raise RepositoryError(f"{files.where}/{path}", "is missing", _DAMAGED)
    try:
        meta.verify_length_and_hashes(data)
    except LengthOrHashMismatchError as error:
        raise RepositoryError(f"{files.where}/{path}", f"was changed ({error})", _DAMAGED) from error
    found = _parsed(files, path, data, kind)
    if found.signed.version != meta.version:
        raise RepositoryError(f"{files.where}/{path}", f"says it is version {found.signed.version}", _DAMAGED)
    return found


def _parsed(files: Files, path: str, data: bytes, kind: type[_T]) -> Metadata[_T]:
    try:
        metadata = Metadata[_T].from_bytes(data)
    except DeserializationError as error:
        raise RepositoryError(f"{files.where}/{path}", "is no TUF metadata", _DAMAGED) from error
    if not isinstance(metadata.signed, kind):
        raise RepositoryError(
            f"{files.where}/{path}", f"expected {kind.__name__.lower()}, got {metadata.signed.type}", _DAMAGED
        )
    return metadata


def _check(
    files: Files,
    path: str,
    delegator: Root | Targets,
    role: str,
    metadata: Metadata[Root] | Metadata[Timestamp] | Metadata[Snapshot] | Metadata[Targets],
) -> None:
    try:
        delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except (UnsignedMetadataError, ValueError) as error:
        raise RepositoryError(
            f"{files.where}/{path}",
            f"is not signed by the keys of this repository ({error})",
            "name the right root.json with --root, or find out who wrote it",
        ) from error


def _release(role: str, target: TargetFile) -> Release:
    try:
        info = ReleaseInfo.model_validate(target.custom)
    except ValidationError as error:
        raise RepositoryError(target.path, "what is said of this release cannot be read", "update edgetally") from error
    own = role == model_role(info.model) and target.path == manifest_path(info.model, info.version)
    if not own or "sha256" not in target.hashes:
        raise RepositoryError(target.path, f"{role!r} may not release this", "somebody else used its key: revoke that")
    return Release(info, target)
