"""manifest.json: what a bundle holds, from what it was made, what each artifact needs and how it was proven."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from contracts.documents import MachineModel, Sha256
from contracts.facts import Requirement
from contracts.model_spec import ModelSpec

SCHEMA_VERSION = 1
MANIFEST_NAME = "manifest.json"

Evidence = Literal["built", "emulated", "measured"]
"""How far an artifact was proven: it exists, it ran in an emulation, or it ran on the device that is named."""


class FileEntry(MachineModel):
    """A file of the bundle: its path relative to the bundle, with ``/``; size in bytes."""

    path: str
    sha256: Sha256
    size: int = Field(ge=0)

    @model_validator(mode="after")
    def _stays_inside(self) -> Self:
        parts = self.path.split("/")
        if self.path.startswith("/") or "\\" in self.path or any(part in {"", ".", ".."} for part in parts):
            raise ValueError(f"path should stay inside the bundle, got {self.path!r}")
        return self


class TensorInfo(MachineModel):
    """An input or output of an artifact: name, NumPy dtype name, static shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]


class OutputParity(MachineModel):
    """One output against the FP32 reference over all frames.

    ``max_error`` is the largest absolute difference, divided by the reference's largest absolute value.
    """

    output: str
    max_error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the error is within the tolerance (a NaN is not)."""
        return self.max_error <= self.tolerance


class Parity(MachineModel):
    """How an artifact, run with one execution precision, agrees with the FP32 reference."""

    execution_precision: str
    frames: int
    outputs: tuple[OutputParity, ...]

    @property
    def passed(self) -> bool:
        """Whether every output is within its tolerance."""
        return all(output.passed for output in self.outputs)


class Artifact(MachineModel):
    """One runnable form of the model.

    Attributes:
        id: ``<target>/<precision>``, unique in the bundle.
        backend: which backend opens it, a name of ``runtime.backends``.
        entry: path of the file that the backend opens; it is one of ``files``.
        execution_precisions: what it may be run with on a device, each with its parity, most exact first.
        kept_out: what stayed out of quantisation.
    """

    id: str
    target: str
    backend: str
    precision: str
    files: tuple[FileEntry, ...]
    entry: str
    requires: tuple[Requirement, ...]
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    execution_precisions: tuple[str, ...] = ("f32",)
    parity: tuple[Parity, ...] = ()
    kept_out: tuple[str, ...] = ()
    toolchain: Mapping[str, str] = Field(default_factory=dict)
    evidence: Evidence = "built"
    evidence_device: str | None = None

    @property
    def digest(self) -> str:
        """SHA-256 over the paths and digests of its files: the same bytes give the same digest."""
        listing = "\n".join(f"{file.path} {file.sha256}" for file in sorted(self.files, key=lambda f: f.path))
        return hashlib.sha256(listing.encode()).hexdigest()

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.files)


class Golden(MachineModel):
    """A sample: the frame that goes in and what the FP32 reference gave for it.

    ``frame`` is an .npy of uint8 ``(height, width, 3)`` BGR as prepared; ``expected`` an .npz, one array an output.
    """

    frame: FileEntry
    expected: FileEntry


class Source(MachineModel):
    """What the bundle was made from; ``frames`` says where the pictures for parity and samples came from."""

    file: str
    sha256: Sha256
    opset: int | None = None
    ir_version: int | None = None
    producer: str = ""
    frames: str = ""
    frames_sha256: Sha256 | None = None


class Manifest(MachineModel):
    """The whole of manifest.json; ``digest`` covers everything but itself."""

    schema_version: int = SCHEMA_VERSION
    created: str
    converter: str
    model: ModelSpec
    source: Source
    artifacts: tuple[Artifact, ...]
    golden: tuple[Golden, ...] = ()
    warnings: tuple[str, ...] = ()
    digest: Sha256 | None = None

    def files(self) -> tuple[FileEntry, ...]:
        """Every file of the bundle but the manifest itself."""
        samples = [entry for sample in self.golden for entry in (sample.frame, sample.expected)]
        return (*(file for artifact in self.artifacts for file in artifact.files), *samples)


def manifest_digest(document: Mapping[str, object]) -> str:
    """SHA-256 of a manifest's canonical JSON (sorted keys, no spaces) without its own ``digest``."""
    rest = {key: value for key, value in document.items() if key != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
