"""Opening a bundle: nothing of it is used before every byte has been checked against its manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from contracts.documents import read_document
from contracts.errors import BundleError, DocumentError
from contracts.manifest import MANIFEST_NAME, SCHEMA_VERSION, Artifact, FileEntry, Manifest, manifest_digest

_CHUNK = 1 << 20  # bytes read at once while hashing


@dataclass(frozen=True)
class Bundle:
    """A bundle whose manifest was read.

    Args:
        path: its folder.
        manifest: what it says it holds.
        manifest_sha256: of the bytes of manifest.json, by which documents and the library name a bundle.
    """

    path: Path
    manifest: Manifest
    manifest_sha256: str

    def file(self, entry: FileEntry) -> Path:
        """A file of the bundle, checked against its size and digest at this very call.

        Raises:
            BundleError: it is missing, or its bytes changed.
        """
        path = self.path / entry.path
        try:
            size = path.stat().st_size
            digest = sha256(path) if size == entry.size else ""
        except OSError as error:
            raise BundleError(f"{path}: cannot be read: {error.strerror}; copy the bundle again") from error
        if size != entry.size:
            raise BundleError(f"{path}: expected {entry.size} bytes, got {size}; copy the bundle again")
        if digest != entry.sha256:
            raise BundleError(f"{path}: expected SHA-256 {entry.sha256}, got {digest}; copy the bundle again")
        return path

    def entry(self, artifact: Artifact) -> Path:
        """The file that the artifact's backend opens, after checking all of the artifact's files.

        Raises:
            BundleError: one is missing or changed.
        """
        return self._named(artifact, artifact.entry)

    def host_entry(self, artifact: Artifact) -> Path | None:
        """The file of the stage that follows on the host processor, checked likewise; None where none does.

        Raises:
            BundleError: a file is missing or changed.
        """
        return self._named(artifact, artifact.host_stage.entry) if artifact.host_stage else None

    def _named(self, artifact: Artifact, name: str) -> Path:
        paths = {entry.path: self.file(entry) for entry in artifact.files}
        if name not in paths:
            raise BundleError(f"{self.path}: artifact {artifact.id} names entry {name!r}, which it lacks")
        return paths[name]

    def artifact(self, artifact_id: str) -> Artifact:
        """The artifact of that id.

        Raises:
            BundleError: there is none.
        """
        for artifact in self.manifest.artifacts:
            if artifact.id == artifact_id:
                return artifact
        known = ", ".join(artifact.id for artifact in self.manifest.artifacts)
        raise BundleError(f"{self.path}: expected one of {known}, got artifact {artifact_id!r}; choose one of these")

    def check(self) -> None:
        """Check every file.

        Raises:
            BundleError: one is missing or changed.
        """
        for entry in self.manifest.files():
            self.file(entry)


def open_bundle(path: Path) -> Bundle:
    """Read a bundle's manifest and check it against its own digest; files are checked as they are used.

    Raises:
        BundleError: there is no bundle, it is of a newer schema, or its manifest was changed.
    """
    manifest_file = path / MANIFEST_NAME
    if not manifest_file.is_file():
        raise BundleError(f"{path}: expected a bundle (a folder with {MANIFEST_NAME}), there is none; check the path")
    try:
        data = manifest_file.read_bytes()
    except OSError as error:
        raise BundleError(f"{manifest_file}: cannot be read: {error.strerror}; copy the bundle again") from error
    return Bundle(path, parse_manifest(data, str(manifest_file)), hashlib.sha256(data).hexdigest())


def parse_manifest(data: bytes, where: str) -> Manifest:
    """A manifest by its bytes, checked against its own digest.

    Args:
        data: the whole of manifest.json.
        where: it came from; for the error's text.

    Raises:
        BundleError: it is none, is of a newer schema, or was changed.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{where}: expected JSON, {error}; build or copy the bundle again") from None
    if not isinstance(document, dict):
        raise BundleError(f"{where}: expected a JSON object, got {type(document).__name__}; build the bundle again")
    try:
        return _manifest_of(document, where)
    except DocumentError as error:
        raise BundleError(f"{error}; build or copy the bundle again") from error


def _manifest_of(document: Mapping[str, object], where: str) -> Manifest:
    schema = document.get("schema_version")
    if isinstance(schema, int) and schema > SCHEMA_VERSION:
        raise BundleError(
            f"{where}: bundle schema is {schema}, this edgetally reads up to {SCHEMA_VERSION}; update edgetally"
        )
    if document.get("digest") != manifest_digest(document):
        raise BundleError(f"{where}: its digest does not fit its content; copy the bundle again")
    return read_document(Manifest, document, where)


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
