"""What every target family's module holds, and what it is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from contracts.facts import Requirement
from contracts.manifest import TensorInfo
from contracts.model_spec import ModelSpec


@dataclass(frozen=True)
class Job:
    """A model that was read and is to become artifacts.

    Args:
        spec: its model.toml.
        source: the file as it was given.
        folded: the same model in ONNX with the preparation folded in; None where the source is not ONNX.
        origin: what the artifact should carry inside it, where its format can (``model``, ``source_sha256``).
    """

    spec: ModelSpec
    source: Path
    folded: Path | None
    origin: Mapping[str, str]


@dataclass(frozen=True)
class Emitted:
    """An artifact's files as they lie on the disk, read back and found in order.

    Args:
        precision: what the file holds ("fp32", "fp16").
        entry: the file that the backend opens; everything beside it belongs to the artifact.
        inputs: its inputs.
        outputs: its outputs.
        rounded: whether its weights were rounded in making it (not where the source held them so already).
        floors: runtime versions that follow from what the file uses.
        toolchain: what wrote it, name to version.
    """

    precision: str
    entry: Path
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    rounded: bool
    floors: tuple[Requirement, ...]
    toolchain: Mapping[str, str]


class Family(Protocol):
    """What a family's module holds."""

    def precisions(self, job: Job, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Which of the wanted precisions this model can be made in.

        Raises:
            ModelFileError: none: this family does not take the model; the sentence says why.
        """

    def emit(self, job: Job, precision: str, folder: Path) -> Emitted:
        """Write one artifact into an empty folder and read it back.

        Raises:
            ModelFileError: the toolchain refuses the model.
            StorageError: the folder cannot be written.
        """
