"""A repository of models: static files that any web server, object store or memory stick serves.

::

    metadata/   TUF metadata (The Update Framework, specification 1.0.34, consistent snapshots): root, timestamp,
                snapshot, targets, and a delegated role for each model and for the operators' keys
    targets/    the manifests of the released bundles, each under its TUF target path with its digest before its name
    blobs/      every file of every bundle under its SHA-256: what is the same in two bundles is there once

A manifest is signed as a TUF target and names the digests of all files of its bundle, so the blobs need no signature.
Who releases writes this layout, the box reads it: both take every name from here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from contracts.documents import Id, MachineModel, Sha256
from contracts.manifest import MANIFEST_NAME

METADATA = "metadata"
TARGETS = "targets"
BLOBS = "blobs"

OPERATOR_ROLE = "operators"
"""The delegated role whose keys sign desired documents; it signs no targets."""

LARGEST_MANIFEST = 16 * 1024 * 1024  # bytes
LARGEST_METADATA = 5 * 1024 * 1024  # bytes of one metadata file; python-tuf's own limit for targets

Version = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[0-9A-Za-z][0-9A-Za-z.+-]*$")]
"""Of a model, as a name of a folder."""


class Withdrawn(MachineModel):
    """Why a released bundle is not to be taken any more."""

    at: AwareDatetime
    reason: str = Field(min_length=1, max_length=500)


class ReleaseInfo(MachineModel):
    """The ``custom`` part of a manifest's TUF target: what there is to know of a bundle before it is fetched.

    Attributes:
        format: of this document.
        model: its name.
        version: its version.
        release: counts the releases of this model, from 1; a later one has a higher number.
        released: when.
        size: bytes of all its files.
        targets: of ``targets/``, that it has artifacts for.
        withdrawn: set once it is not to be taken any more.
    """

    format: Literal[1] = 1
    model: Id
    version: Version
    release: Annotated[int, Field(ge=1, le=2**53 - 1)]
    released: AwareDatetime
    size: Annotated[int, Field(ge=0, le=2**53 - 1)]
    targets: tuple[Annotated[str, Field(max_length=64)], ...] = Field(max_length=64)
    withdrawn: Withdrawn | None = None


class Blob(MachineModel):
    """A file by its content: digest, and size in bytes."""

    sha256: Sha256
    size: Annotated[int, Field(ge=0, le=2**53 - 1)]


def model_role(model: str) -> str:
    """Name of the delegated TUF role that signs a model's releases."""
    return f"model-{model}"


def model_paths(model: str) -> str:
    """The TUF path pattern of that role: its own manifests and nothing else's."""
    return f"{model}/*/{MANIFEST_NAME}"


def manifest_path(model: str, version: str) -> str:
    """TUF target path of a released bundle's manifest, below ``targets/``."""
    return f"{model}/{version}/{MANIFEST_NAME}"


def blob_path(sha256: str) -> str:
    """Where a repository has a file, below its top: ``blobs/ab/ab12…``."""
    return f"{BLOBS}/{sha256[:2]}/{sha256}"
