"""A repository of models made for a test: any role can be changed, left unsigned, or signed by somebody else."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Key,
    Metadata,
    MetaFile,
    Role,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from agent.remote.rules import Moment
from agent.update.trust.releases import TrustedReleases
from agent.update.trust.store import TrustStore
from contracts.release import OPERATOR_ROLE, manifest_path, model_paths, model_role
from tests.fakes.disk import FakeDisk
from tests.fakes.metadata_server import MetadataServer

TOP = ("root", "targets", "snapshot", "timestamp")
NOW = dt.datetime.now(dt.timezone.utc).replace(microsecond=0)  # python-tuf reads the clock itself
LATER = dt.timedelta(days=365)


def signer() -> CryptoSigner:
    return CryptoSigner.generate_ed25519()


class Repository:
    """The keys, the metadata and the files of a repository.

    Args:
        models: that have a delegated role.
    """

    def __init__(self, *models: str) -> None:
        self.server = MetadataServer()
        self.keys = {name: [signer()] for name in (*TOP, OPERATOR_ROLE, *map(model_role, models))}
        self.root = Root(expires=NOW + LATER, consistent_snapshot=True)
        self.targets = Targets(expires=NOW + LATER, delegations=Delegations({}, {}))
        self.roles = {model_role(model): Targets(expires=NOW + LATER) for model in models}
        self.snapshot = Snapshot(expires=NOW + LATER)
        self.timestamp = Timestamp(expires=NOW + LATER)
        for name in TOP:
            self.root.roles[name] = Role([], 1)
            self.name_keys(name)
        self.delegate(OPERATOR_ROLE, [])
        for model in models:
            self.delegate(model_role(model), [model_paths(model)])
        self.publish_root()
        self.anchor = self.server.files["metadata/1.root.json"]
        for name in self.roles:
            self.publish_role(name)
        self.publish_targets()
        self.publish_online()

    # --- keys

    def name_keys(self, role: str, threshold: int = 1) -> None:
        """Have the root name the keys that a role has now."""
        self.root.roles[role] = Role([one.public_key.keyid for one in self.keys[role]], threshold)
        for one in self.keys[role]:
            self.root.keys[one.public_key.keyid] = one.public_key

    def delegate(self, role: str, paths: list[str], threshold: int = 1) -> None:
        """Have targets name the keys that a role has now, and its paths."""
        delegations = self.targets.delegations
        assert delegations is not None
        assert delegations.roles is not None
        keyids = [one.public_key.keyid for one in self.keys[role]]
        delegations.roles[role] = DelegatedRole(role, keyids, threshold, terminating=True, paths=paths)
        for one in self.keys[role]:
            delegations.keys[one.public_key.keyid] = one.public_key

    def rotate(self, *roles: str) -> None:
        """New keys for top-level roles, by a new root that the old one's keys sign too."""
        old = self.keys["root"]
        for role in roles:
            self.keys[role] = [signer()]
            self.name_keys(role)
        self.root.version += 1
        self.publish_root(old)

    # --- publishing

    def release(self, model: str, version: str, **custom: Any) -> None:
        """Name a bundle in its model's role; not published yet."""
        role = self.roles[model_role(model)]
        manifest = f"{model} {version}".encode()
        info = {
            "model": model,
            "version": version,
            "release": len(role.targets) + 1,
            "released": "2026-11-01T00:00:00Z",
            "size": 1000,
            "targets": ["x86-openvino"],
        }
        path = manifest_path(model, version)
        target = TargetFile(len(manifest), {"sha256": hashlib.sha256(manifest).hexdigest()}, path)
        target.unrecognized_fields["custom"] = info | custom
        role.targets[path] = target

    def publish(self) -> None:
        """Everything but the root in a next version."""
        for name, role in self.roles.items():
            role.version += 1
            self.publish_role(name)
        self.targets.version += 1
        self.publish_targets()
        self.next_online()

    def next_online(self) -> None:
        self.snapshot.version += 1
        self.timestamp.version += 1
        self.publish_online()

    def publish_root(self, also: list[CryptoSigner] | None = None) -> None:
        signers = {one.public_key.keyid: one for one in [*(also or []), *self.keys["root"]]}
        self.put(f"{self.root.version}.root.json", sign(self.root, *signers.values()))

    def publish_role(self, name: str) -> None:
        role = self.roles[name]
        self.put(f"{role.version}.{name}.json", sign(role, *self.keys[name]))
        self.snapshot.meta[f"{name}.json"] = MetaFile(role.version)

    def publish_targets(self) -> None:
        self.put(f"{self.targets.version}.targets.json", sign(self.targets, *self.keys["targets"]))
        self.snapshot.meta["targets.json"] = MetaFile(self.targets.version)

    def publish_online(self) -> None:
        data = sign(self.snapshot, *self.keys["snapshot"])
        self.put(f"{self.snapshot.version}.snapshot.json", data)
        self.timestamp.snapshot_meta = MetaFile(
            self.snapshot.version, len(data), {"sha256": hashlib.sha256(data).hexdigest()}
        )
        self.put("timestamp.json", sign(self.timestamp, *self.keys["timestamp"]))

    def put(self, name: str, data: bytes) -> None:
        self.server.files[f"metadata/{name}"] = data

    def files(self) -> dict[str, bytes]:
        """All files as they are now, to be replayed later."""
        return dict(self.server.files)


def sign(payload: Root | Targets | Snapshot | Timestamp, *signers: CryptoSigner) -> bytes:
    metadata: Metadata[Any] = Metadata(payload)
    for one in signers:
        metadata.sign(one, append=True)
    return metadata.to_bytes()


def public(key: Key) -> dict[str, Any]:
    return key.to_dict()


class Box:
    """A box: its root file, its two folders on a disk whose power can be cut, and its clock.

    Args:
        folder: for the root file.
        repository: whose root it trusts first.
    """

    def __init__(self, folder: Path, repository: Repository) -> None:
        self.root = folder / "root.json"
        self.root.write_bytes(repository.anchor)
        self.server = repository.server
        self.metadata = FakeDisk()
        self.floors = FakeDisk()
        self.wall = NOW.timestamp()
        self.trusted: bool | None = True

    @property
    def releases(self) -> TrustedReleases:
        """As after a start of the agent."""
        store = TrustStore(self.metadata, self.floors)
        return TrustedReleases(self.server, self.root, store, lambda: Moment(self.wall, self.trusted))

    def refresh(self) -> None:
        self.releases.refresh()

    def version(self, role: str) -> int | None:
        """That is on the disk; None where none can be read."""
        data = self.metadata.read(f"{role}.json")
        return Metadata[Targets].from_bytes(data).signed.version if data else None

    def damage(self, name: str, data: bytes) -> None:
        self.metadata = FakeDisk({**self.contents(self.metadata), name: data})

    @staticmethod
    def contents(disk: FakeDisk) -> dict[str, bytes]:
        return {name: data[0] for name, data in disk._names.items()}
