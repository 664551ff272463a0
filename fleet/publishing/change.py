"""Changing a repository so that a reader sees all of the change or nothing of it.

What is new gets names of its own: roles first, then a snapshot that names them, then the timestamp that names the
snapshot, which alone replaces a file. The snapshot is the change: whoever makes ``N+1.snapshot.json`` first has changed
version N. Killed before that, nothing happened; killed after it, the next command writes the timestamp that is missing.
Who comes second, from the same version N, is refused, and loses nothing that was published.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp

from contracts.release import METADATA
from fleet.publishing import roles
from fleet.publishing.errors import ConflictError, RepositoryError
from fleet.publishing.files import Files
from fleet.publishing.keys import Keyring
from fleet.publishing.roles import Validity
from fleet.publishing.seen import Seen
from fleet.publishing.signing import Trust, signed
from fleet.publishing.state import TIMESTAMP_PATH, State, load_root, load_snapshot, load_state, role_path, snapshot_path

_AGAIN = "run the same command again"


@dataclass(frozen=True)
class Repository:
    """A repository, and what is needed to change it.

    Args:
        files: of it.
        trusted: root.json that is trusted.
        keyring: the keys at hand.
        validity: of what is signed now.
        seen: remembers the newest state; None forgets it.
    """

    files: Files
    trusted: bytes
    keyring: Keyring
    validity: Validity
    seen: Seen | None = None

    def state(self) -> State:
        """What it holds, with a change that was cut short finished.

        Raises:
            RepositoryError: it is damaged, older than what was seen, or none is there.
            KeysMissingError: a change was cut short, and the online key to finish it is not here.
        """
        found = load_state(self.files, self.trusted)
        if self.seen is not None:
            self.seen.check(self.files.where, found)
        return self.noted(finished(self, found))

    def noted(self, state: State) -> State:
        """The same state, remembered."""
        if self.seen is not None:
            self.seen.note(state)
        return state


@dataclass(frozen=True)
class Change:
    """What is to be changed in one step.

    Args:
        roles: new content by role, of the next version: ``targets`` and models' roles; nothing where only the online
            roles are signed anew.
        root: that has to accept it besides the one that is there, while online or targets keys change.
    """

    roles: Mapping[str, Targets] = field(default_factory=dict)
    root: Root | None = None


def apply(repository: Repository, state: State, change: Change) -> State:
    """Make a change.

    Args:
        repository: that it is made in.
        state: that it is based on.
        change: what is to be done.

    Raises:
        ConflictError: somebody else was faster.
        KeysMissingError: keys are missing; nothing was changed.
        StorageError, ServerError: a file cannot be written; readers see the state before.
    """
    roots = [state.root.signed, *([change.root] if change.root else [])]
    _write_timestamp(repository, state, prepare(repository, state, change, roots), roots)
    return repository.noted(load_state(repository.files, repository.trusted))


def prepare(repository: Repository, state: State, change: Change, roots: Sequence[Root]) -> MetaFile:
    """Write everything of a change but the timestamp.

    Args:
        repository: that it is made in.
        state: that it is based on.
        change: what is to be done.
        roots: that all have to accept it.

    Returns:
        What the timestamp is to name.

    Raises:
        ConflictError: somebody else was faster.
        KeysMissingError: keys are missing; nothing was changed.
    """
    targets = change.roles.get(roles.TARGETS, state.targets.signed)
    snapshot = copy.deepcopy(state.snapshot.signed)
    for role, body in change.roles.items():
        trusts: list[Trust] = [(root, role) for root in roots] if role == roles.TARGETS else [(targets, role)]
        snapshot.meta[f"{role}.json"] = _write_role(repository, role, copy.deepcopy(body), trusts)
    data = _sign_snapshot(repository, snapshot, free_snapshot(repository, state), roots)
    _check_unchanged(repository, state)
    if not repository.files.create(snapshot_path(snapshot.version), data):
        raise _faster(repository)
    return _meta(data, snapshot.version)


def finished(repository: Repository, state: State) -> State:
    """The state after changes whose snapshot is there and whose timestamp is missing, which is then written."""
    if state.unfinished:
        _write_timestamp(repository, state, _meta_of(repository, state), [state.root.signed])
        state = load_state(repository.files, repository.trusted)
    while (following := _following(repository, state)) is not None:
        _write_timestamp(repository, state, _meta_of(repository, following), [state.root.signed])
        state = load_state(repository.files, repository.trusted)
    return state


def free_snapshot(repository: Repository, state: State) -> int:
    """The version that the next snapshot gets.

    Files under its name that none of our keys signed are passed over: no publisher wrote them.
    """
    version = state.snapshot.signed.version + 1
    while repository.files.read(snapshot_path(version)) is not None and _at(repository, state, version) is None:
        version += 1
    return version


def _following(repository: Repository, state: State) -> State | None:
    return _at(repository, state, free_snapshot(repository, state))


def _at(repository: Repository, state: State, version: int) -> State | None:
    try:
        data = repository.files.read(snapshot_path(version))
        if data is None:
            return None
        return load_snapshot(repository.files, state.root, state.timestamp, _meta(data, version))
    except RepositoryError:
        return None


def _write_role(repository: Repository, role: str, body: Targets, trusts: Sequence[Trust]) -> MetaFile:
    """Sign a role and write it under the next version that is free; one that was cut short may have taken some."""
    body.expires = repository.validity.expires(role)
    while True:
        data = signed(body, trusts, repository.keyring)
        if repository.files.create(role_path(role, body.version), data):
            return _meta(data, body.version)
        body.version += 1


def _sign_snapshot(repository: Repository, snapshot: Snapshot, version: int, roots: Sequence[Root]) -> bytes:
    snapshot.version = version
    snapshot.expires = repository.validity.expires(roles.SNAPSHOT)
    return signed(snapshot, [(root, roles.SNAPSHOT) for root in roots], repository.keyring)


def _write_timestamp(repository: Repository, state: State, meta: MetaFile, roots: Sequence[Root]) -> None:
    body = Timestamp(
        version=state.timestamp.signed.version + 1,
        expires=repository.validity.expires(roles.TIMESTAMP),
        snapshot_meta=meta,
    )
    data = signed(body, [(root, roles.TIMESTAMP) for root in roots], repository.keyring)
    # Whoever finished this change for us may have gone on: their timestamp then names a later snapshot.
    newest = load_state(repository.files, repository.trusted)
    if newest.root.signed.version != state.root.signed.version:
        raise _faster(repository)
    if newest.unfinished or newest.snapshot.signed.version < meta.version:
        repository.files.replace(TIMESTAMP_PATH, data)


def _check_unchanged(repository: Repository, state: State) -> None:
    newest = load_state(repository.files, repository.trusted)
    if any(
        getattr(newest, part).signed.version != getattr(state, part).signed.version
        for part in ("root", "timestamp", "snapshot")
    ):
        raise _faster(repository)


def _faster(repository: Repository) -> ConflictError:
    return ConflictError(
        repository.files.where, "somebody else changed it meanwhile; nothing of theirs is lost", _AGAIN
    )


def write_root(repository: Repository, state: State, root: Root) -> State:
    """Replace the root by the next one, which the old keys and the new ones sign.

    Raises:
        ConflictError: somebody else was faster.
        KeysMissingError: root keys are missing; nothing was changed.
    """
    root = copy.deepcopy(root)
    root.version = state.root.signed.version + 1
    root.expires = repository.validity.expires(roles.ROOT)
    data = signed(root, [(state.root.signed, roles.ROOT), (root, roles.ROOT)], repository.keyring)
    _check_unchanged(repository, state)
    if not repository.files.create(f"{METADATA}/{root.version}.root.json", data):
        raise ConflictError(repository.files.where, "somebody else changed the root meanwhile", _AGAIN)
    return replace(state, root=load_root(repository.files, repository.trusted))


def _meta_of(repository: Repository, state: State) -> MetaFile:
    version = state.snapshot.signed.version
    return _meta(repository.files.read(snapshot_path(version)) or b"", version)


def _meta(data: bytes, version: int) -> MetaFile:
    return MetaFile.from_data(version, data, ["sha256"])


def body_of(metadata: Metadata[Targets]) -> Targets:
    """The content of a role, to be changed, and of the next version."""
    body = copy.deepcopy(metadata.signed)
    body.version += 1
    return body
