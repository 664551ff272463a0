"""Making a repository."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tuf.api.metadata import DelegatedRole, Delegations, Metadata, MetaFile, Root, Snapshot, Targets, Timestamp

from contracts.errors import StorageError
from contracts.release import OPERATOR_ROLE
from fleet.publishing import roles
from fleet.publishing.errors import KeyFileError, RepositoryError
from fleet.publishing.files import Files
from fleet.publishing.keys import KeyInfo, Keyring
from fleet.publishing.roles import KeyRole, Validity
from fleet.publishing.signing import signed
from fleet.publishing.state import TIMESTAMP_PATH, role_path, root_path, snapshot_path

ROOT_NAME = "root.json"


def init_repository(files: Files, keyring: Keyring, validity: Validity, root_threshold: int | None) -> bytes:
    """Make an empty repository.

    Until the timestamp is written, last, there is none: cut short, it is made anew.

    Args:
        files: of it.
        keyring: has keys of every kind, root keys too.
        validity: of what is signed now.
        root_threshold: how many root keys have to sign a new root; None: more than half of them.

    Returns:
        The root.json that boxes and operators are to trust.

    Raises:
        RepositoryError: there is one already.
        KeyFileError: a kind of key is missing, or there are fewer root keys than `root_threshold`.
        KeysMissingError: a private key is not at hand.
    """
    if files.read(TIMESTAMP_PATH) is not None:
        raise RepositoryError(
            files.where, "there is a repository already", "publish to it with `edgetally-fleet publish`"
        )
    root, targets = _root(keyring, validity, root_threshold), _targets(keyring, validity)
    root_data = signed(root, [(root, roles.ROOT)], keyring)
    targets_data = signed(targets, [(root, roles.TARGETS)], keyring)
    snapshot = Snapshot(
        expires=validity.expires(roles.SNAPSHOT),
        meta={"targets.json": MetaFile.from_data(1, targets_data, ["sha256"])},
    )
    snapshot_data = signed(snapshot, [(root, roles.SNAPSHOT)], keyring)
    meta = MetaFile.from_data(1, snapshot_data, ["sha256"])
    timestamp = Timestamp(expires=validity.expires(roles.TIMESTAMP), snapshot_meta=meta)
    timestamp_data = signed(timestamp, [(root, roles.TIMESTAMP)], keyring)
    files.replace(root_path(1), root_data)
    files.replace(role_path(roles.TARGETS, 1), targets_data)
    files.replace(snapshot_path(1), snapshot_data)
    files.replace(TIMESTAMP_PATH, timestamp_data)
    return root_data


def keep_root(folder: Path, data: bytes) -> Path:
    """Keep the root that is trusted beside the keys; for boxes too.

    Raises:
        StorageError: it cannot be written.
    """
    path = folder / ROOT_NAME
    try:
        new = path.with_name(f".{ROOT_NAME}.new")
        new.write_bytes(data)
        new.replace(path)
    except OSError as error:
        raise StorageError(str(path), error) from error
    return path


def read_root(path: Path) -> bytes:
    """The root that is trusted.

    Raises:
        RepositoryError: it is not there, or is no TUF root.
    """
    try:
        data = path.read_bytes()
        Metadata[Root].from_bytes(data)
    except OSError as error:
        raise RepositoryError(
            str(path),
            f"cannot be read ({error.strerror})",
            "name the root.json that `repository init` wrote with --root",
        ) from error
    except Exception as error:
        raise RepositoryError(str(path), "is no TUF root", "name the root.json that `repository init` wrote") from error
    return data


def _root(keyring: Keyring, validity: Validity, threshold: int | None) -> Root:
    root = Root(expires=validity.expires(roles.ROOT), consistent_snapshot=True)
    for role in (roles.ROOT, roles.TARGETS, roles.SNAPSHOT, roles.TIMESTAMP):
        for info in _keys(keyring, roles.ROLES[role].key):
            root.add_key(info.public, role)
    have = len(root.roles[roles.ROOT].keyids)
    wanted = have // 2 + 1 if threshold is None else threshold
    if wanted > have:
        raise KeyFileError(
            "root keys", f"expected at least {wanted}, there are {have}", "make more with `keys create --root-count`"
        )
    root.roles[roles.ROOT].threshold = wanted
    return root


def _targets(keyring: Keyring, validity: Validity) -> Targets:
    operators = _keys(keyring, "operator")
    role = DelegatedRole(OPERATOR_ROLE, [info.keyid for info in operators], 1, terminating=False, paths=[])
    delegations = Delegations({info.keyid: info.public for info in operators}, {OPERATOR_ROLE: role})
    return Targets(expires=validity.expires(roles.TARGETS), delegations=delegations)


def _keys(keyring: Keyring, role: KeyRole) -> Sequence[KeyInfo]:
    found = keyring.of(role)
    if not found:
        folders = ", ".join(map(str, keyring.folders))
        do = "name the folder of the root keys with --root-keys" if role == "root" else "name their folder with --keys"
        raise KeyFileError(folders, f"there is no {role} key", f"{do}, or make keys with `edgetally-fleet keys create`")
    return found
