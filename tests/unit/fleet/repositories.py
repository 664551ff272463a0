"""An operator with keys and a repository, for tests."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fleet.publishing.change import Repository
from fleet.publishing.files import Files, open_files
from fleet.publishing.init import init_repository
from fleet.publishing.keys import KeyInfo, Keyring, make_key
from fleet.publishing.passphrases import Passphrases
from fleet.publishing.progress import silent
from fleet.publishing.publish import Published, publish
from fleet.publishing.roles import KEY_ROLES, KeyRole, Validity
from fleet.publishing.rotate import Replacement, key_to_replace, replace_key
from fleet.publishing.state import State
from tests.fakes.bundles import artifact, entry, make_bundle


def now() -> dt.datetime:
    """UTC, in whole seconds."""
    return dt.datetime.now(dt.timezone.utc).replace(microsecond=0)


def bundle(
    folder: Path, name: str = "fake", version: str = "1.0.0", targets: Sequence[str] = ("x86-onnxruntime",)
) -> Path:
    """A bundle whose artifacts are of this very model, version and target."""
    root = folder / f"{name}-{version}.bundle"
    artifacts: list[dict[str, Any]] = []
    for target in targets:
        file = entry(root, f"artifacts/{target}/fp32/model.own", f"{name} {version} {target}".encode())
        artifacts.append(artifact(root, f"{target}/fp32", files=[file], entry=file["path"]))
    model = {
        "name": name,
        "version": version,
        "labels": ["vehicle"],
        "input": {"width": 64, "height": 64},
        "output": {"decoder": "density"},
    }
    return make_bundle(root, artifacts, model=model)


class Operator:
    """Who has all the keys, and a repository.

    Args:
        folder: for keys and bundles.
        url: of the repository; None: a folder beside them.
        root_keys: how many.
    """

    def __init__(self, folder: Path, url: str | None = None, root_keys: int = 1) -> None:
        self.folder = folder
        self.keys, self.offline = folder / "keys", folder / "offline"
        for role in KEY_ROLES:
            for number in range(root_keys if role == "root" else 1):
                make_key(self._folder(role), role, f"{role}-{number + 1}", now(), None)
        self.files = open_files(url or str(folder / "repository"))
        self.root = init_repository(self.files, self.keyring(), Validity(now(), {}), None)

    def keyring(self, *, offline: bool = True) -> Keyring:
        """The keys; without those that are kept apart where `offline` is not set."""
        return Keyring((self.keys, *([self.offline] if offline else [])), Passphrases(None))

    def repository(
        self, *, offline: bool = False, files: Files | None = None, days: dict[str, int] | None = None
    ) -> Repository:
        """The repository, to be changed with the keys that are not kept apart."""
        return Repository(files or self.files, self.root, self.keyring(offline=offline), Validity(now(), days or {}))

    def at(self, when: dt.datetime) -> Repository:
        """The repository, changed at another time."""
        return replace(self.repository(), validity=Validity(when, {}))

    def publish(self, name: str = "fake", version: str = "1.0.0", **how: Any) -> Published:
        """Release a bundle."""
        return publish(self.repository(), bundle(self.folder, name, version, **how), silent)

    def replace(self, what: str) -> KeyInfo:
        """Put a new key in an old one's place."""
        repository = self.repository(offline=True)
        state = repository.state()
        role, old = key_to_replace(repository, state, what)
        new = repository.keyring.make(role, self._folder(role), now(), unencrypted=True)
        replace_key(repository, state, Replacement(role, old, new))
        return new

    def state(self) -> State:
        """What the repository holds."""
        return self.repository().state()

    def versions(self) -> list[tuple[str, str]]:
        """Models and versions that are released."""
        return [(release.info.model, release.info.version) for release in self.state().releases()]

    def _folder(self, role: KeyRole) -> Path:
        return self.offline if role == "root" else self.keys
