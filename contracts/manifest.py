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
from contracts.measurement import Accuracy, Benchmark, PictureSet
from contracts.model_spec import ModelSpec

SCHEMA_VERSION = 2
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


class HostStage(MachineModel):
    """What of the model follows on the host processor (a Mask R-CNN's RoIAlign and heads, say).

    Attributes:
        name: of the stage in model.toml.
        backend: which backend opens it, a name of ``runtime.backends``.
        entry: path of the file that the backend opens; it is one of the artifact's ``files``.
        inputs: outputs of the stage before, by the same names.
        outputs: the model's; a size of -1 depends on the picture.
    """

    name: str
    backend: str
    entry: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]


class OutputParity(MachineModel):
    """One output against the FP32 reference over all frames.

    ``max_error`` is the largest absolute difference, divided by the reference's largest absolute value. ``tolerance``
    is None where rounding is meant to change the numbers: there the accuracy decides, not they.
    """

    output: str
    max_error: float
    tolerance: float | None = None

    @property
    def passed(self) -> bool:
        """Whether the error is within the tolerance (a NaN is not)."""
        return self.tolerance is None or self.max_error <= self.tolerance


class DecodedParity(MachineModel):
    """The decoded results against those of the reference (`runtime.metrics.result_error`).

    Attributes:
        max_error: of any frame.
        golden_error: mean over the golden samples.
        tolerance: what that mean may be on a device: a multiple, for other hardware rounds otherwise, but below what a
            device shows that computes nothing.
    """

    max_error: float
    golden_error: float = 0.0
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the samples could tell this artifact from one that computes nothing."""
        return self.golden_error <= self.tolerance


class Parity(MachineModel):
    """How an artifact, run with one execution precision, agrees with the FP32 reference."""

    execution_precision: str
    frames: int
    outputs: tuple[OutputParity, ...]
    decoded: DecodedParity | None = None

    @property
    def passed(self) -> bool:
        """Whether every output is within its tolerance."""
        return all(output.passed for output in self.outputs)


class Tuned(MachineModel):
    """What of model.toml was set anew for a rounded artifact, on the calibration pictures; None where it stays."""

    score: float | None = Field(None, gt=0, lt=1)
    scale: float | None = Field(None, gt=0, description="a density's count = sum of the map x this")

    def applied_to(self, model: ModelSpec) -> ModelSpec:
        """The model's spec with what is set here instead of its own."""
        changes = self.model_dump(exclude_none=True)
        return model.model_copy(update={"output": model.output.model_copy(update=changes)})


class Artifact(MachineModel):
    """One runnable form of the model.

    Attributes:
        id: ``<target>/<precision>``, unique in the bundle.
        backend: which backend opens it, a name of ``runtime.backends``.
        options: what the backend is told beside the file (``device`` = ``GPU``).
        entry: path of the file that the backend opens; it is one of ``files``.
        execution_precisions: what it may be run with on a device, each with its parity, most exact first.
        method: how the ranges for quantising were found; empty where nothing was quantised.
        kept_out: names of the layers that stayed out of quantisation.
        tuned: execution precision to what of model.toml is set anew for it.
        accuracy: execution precision to what it loses; empty where it cannot be run on the converting host.
        benchmarks: how fast it ran on the converting host.
        checked_with: the backend that parity and accuracy were taken with, where it is not the device's.
        host_stage: what runs after ``entry``, on the host processor, in a model of several stages; parity is then that
            of what goes from the one to the other, accuracy that of the whole.
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
    options: Mapping[str, str] = Field(default_factory=dict)
    method: str = ""
    kept_out: tuple[str, ...] = ()
    tuned: Mapping[str, Tuned] = Field(default_factory=dict)
    accuracy: Mapping[str, Accuracy] = Field(default_factory=dict)
    benchmarks: tuple[Benchmark, ...] = ()
    toolchain: Mapping[str, str] = Field(default_factory=dict)
    evidence: Evidence = "built"
    evidence_device: str | None = None
    checked_with: str | None = None
    host_stage: HostStage | None = None

    @property
    def digest(self) -> str:
        """SHA-256 over the paths and digests of its files: the same bytes give the same digest."""
        listing = "\n".join(f"{file.path} {file.sha256}" for file in sorted(self.files, key=lambda f: f.path))
        return hashlib.sha256(listing.encode()).hexdigest()

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.files)

    @property
    def ran_on_its_backend(self) -> bool:
        """Whether its parity was taken as a device runs it, not with another backend or plugin that stood in."""
        return bool(self.parity) and self.checked_with is None

    def tuned_spec(self, model: ModelSpec, execution_precision: str) -> ModelSpec:
        """The model's spec with what was set anew for this artifact."""
        tuned = self.tuned.get(execution_precision)
        return model if tuned is None else tuned.applied_to(model)


class Golden(MachineModel):
    """A sample: the frame that goes in and what the FP32 reference gave for it.

    ``frame`` is an .npy of uint8 ``(height, width, 3)`` BGR as prepared; ``expected`` an .npz, one array an output.
    """

    frame: FileEntry
    expected: FileEntry


class Source(MachineModel):
    """The model file that the bundle was made from."""

    file: str
    sha256: Sha256
    opset: int | None = None
    ir_version: int | None = None
    producer: str = ""


class Manifest(MachineModel):
    """The whole of manifest.json; ``digest`` covers everything but itself."""

    schema_version: int = SCHEMA_VERSION
    created: str
    converter: str
    model: ModelSpec
    source: Source
    artifacts: tuple[Artifact, ...]
    golden: tuple[Golden, ...] = ()
    calibration: PictureSet | None = None
    evaluation: PictureSet | None = None
    reports: tuple[FileEntry, ...] = ()
    warnings: tuple[str, ...] = ()
    digest: Sha256 | None = None

    def files(self) -> tuple[FileEntry, ...]:
        """Every file of the bundle but the manifest itself."""
        samples = [entry for sample in self.golden for entry in (sample.frame, sample.expected)]
        return (*(file for artifact in self.artifacts for file in artifact.files), *samples, *self.reports)


def manifest_digest(document: Mapping[str, object]) -> str:
    """SHA-256 of a manifest's canonical JSON (sorted keys, no spaces) without its own ``digest``."""
    rest = {key: value for key, value in document.items() if key != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
