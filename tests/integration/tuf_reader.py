"""A reader of repositories that shares no code with who writes them: python-tuf's own client, and urllib for blobs."""

from __future__ import annotations

import hashlib
import ssl
import urllib.request
from pathlib import Path
from typing import Any

from tuf.api.metadata import TargetFile
from tuf.ngclient import Updater

from contracts.manifest import Manifest
from contracts.release import ReleaseInfo


class Reader:
    """A box's view of a repository; what it saw before it remembers.

    Args:
        folder: for its metadata.
        url: of the repository.
        root: that it trusts first.
    """

    def __init__(self, folder: Path, url: str, root: bytes) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._url, self._root = folder, url, root
        self._updater = self._new()

    def _new(self) -> Updater:
        base = f"{self._url}/targets"
        return Updater(str(self._folder), f"{self._url}/metadata", str(self._folder), base, bootstrap=self._root)

    def refresh(self) -> None:
        """Take the newest metadata; raises what python-tuf raises."""
        self._updater = self._new()
        self._updater.refresh()

    def target(self, model: str, version: str) -> TargetFile | None:
        """A release's manifest as TUF knows it."""
        return self._updater.get_targetinfo(f"{model}/{version}/manifest.json")

    def info(self, model: str, version: str) -> ReleaseInfo:
        """What is said of a release."""
        target = self.target(model, version)
        assert target is not None, f"{model} {version} is not there"
        return ReleaseInfo.model_validate(target.custom)

    def bundle(self, model: str, version: str) -> dict[str, bytes] | None:
        """Path to content of every file of a release, each verified; None where it is not released."""
        target = self.target(model, version)
        if target is None:
            return None
        path = self._updater.download_target(target, str(self._folder / "manifest.json"))
        manifest = Manifest.model_validate_json(Path(path).read_bytes())
        return {entry.path: self._blob(entry.sha256, entry.size) for entry in manifest.files()}

    def _blob(self, sha256: str, size: int) -> bytes:
        with urllib.request.urlopen(f"{self._url}/blobs/{sha256[:2]}/{sha256}", context=_context(self._url)) as reply:
            data: bytes = reply.read()
        assert hashlib.sha256(data).hexdigest() == sha256
        assert len(data) == size
        return data


def _context(url: str) -> Any:
    return ssl.create_default_context() if url.startswith("https") else None
