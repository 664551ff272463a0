"""What every target family's module holds, and what it is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from contracts.errors import ModelFileError
from contracts.facts import Requirement
from contracts.manifest import TensorInfo
from contracts.model_spec import ModelSpec


@dataclass(frozen=True)
class Job:
    """A model that was read and is to become artifacts.

    Args:
        spec: its model.toml.
        source: the file as it was given.
        folded: the same model in ONNX with the preparation folded in (its nodes' names begin with
            `converters.fold.PREFIX`); None where the source is not ONNX.
        origin: what the artifact should carry inside it, where its format can (``model``, ``source_sha256``).
        scratch: an existing folder for what a toolchain writes on the way. All targets of a family share it, so that
            what is the same for all of them is made once.
        calibration: an .npy of uint8 ``(n, height, width, 3)`` BGR, as the artifact takes them, to be memory-mapped;
            None where there are none.
        options: the target's ``[options]``, all of which the family honours or refuses.
        rest: ONNX of the stage that follows ``folded`` on the host processor; it goes along as it is.
        quantised: whether the model came quantised already (by training for it, or by another tool): it is passed on
            as such, in precision ``int8``, or refused.
    """

    spec: ModelSpec
    source: Path
    folded: Path | None
    origin: Mapping[str, str]
    scratch: Path
    calibration: Path | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    quantised: bool = False
    rest: Path | None = None


@dataclass(frozen=True)
class Recipe:
    """How one artifact is made.

    Args:
        precision: what the file shall hold: ``fp32``, ``fp16`` (weights, or all), ``int8``, or another of the family's.
        method: how ranges are found, one of the family's `methods`; empty where there is nothing to find.
        kept_out: names of nodes of ``folded`` that stay in floating point.
    """

    precision: str
    method: str = ""
    kept_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Emitted:
    """An artifact's files as they lie on the disk, read back and found in order.

    Args:
        precision: what the file holds ("fp32", "fp16", "int8").
        entry: the file that the backend opens; everything beside it belongs to the artifact.
        inputs: its inputs.
        outputs: its outputs.
        rounded: whether its weights were rounded in making it (not where the source held them so already).
        floors: facts that follow from what the file holds, versions of its runtime above all.
        toolchain: what wrote it, name to version.
        stand_in: a file that computes the same on this host's backend for it (see `targets.load.Target.checked_with`),
            where the entry itself cannot be opened here.
        warnings: what a person should know about it.
        rest: the stage that follows on the host processor, beside the entry; the ladder puts it there.
    """

    precision: str
    entry: Path
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    rounded: bool
    floors: tuple[Requirement, ...]
    toolchain: Mapping[str, str]
    stand_in: Path | None = None
    warnings: tuple[str, ...] = ()
    rest: Path | None = None


VNNI = Requirement(fact="cpu.isa", has_any=("avx512_vnni", "avx_vnni", "amx_int8"))
"""Without it, products of unsigned and signed bytes are added in 16 bits on x86, which overflows."""


class Family(Protocol):
    """What a family's module holds."""

    def precisions(self, job: Job, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Which of the wanted precisions this model can be made in, in the same order.

        Raises:
            ModelFileError: none: this family does not take the model; the sentence says why.
            DocumentError: the job's options are not this family's.
        """

    def methods(self, job: Job, precision: str) -> tuple[str, ...]:
        """Ways of finding the ranges for quantising, cheapest first; ``("",)`` where there is nothing to find."""

    def emit(self, job: Job, recipe: Recipe, folder: Path) -> Emitted:
        """Write one artifact into an empty folder and read it back.

        Raises:
            ModelFileError: the toolchain refuses the model.
            RuntimeMissingError: a package or tool that this precision needs is not installed here.
            StorageError: the folder cannot be written.
        """

    def executed(self, emitted: Emitted, execution_precision: str) -> Mapping[str, int] | None:
        """How many of the layers that do the work (convolutions, matrix products) really run in which element type.

        For finding a silent fallback: keys are ``f32``, ``f16``, ``bf16``, ``int8`` and ``elsewhere`` (handed to
        another provider, delegate or processor).

        Returns:
            None where this host cannot tell.
        """


def refuse_quantised(job: Job, what: str) -> None:
    """Refuse a model that came quantised, for a family that finds its own ranges.

    Raises:
        ModelFileError: it did.
    """
    if job.quantised:
        raise ModelFileError(
            f"{job.source}: the model is quantised already, and {what} takes float models only; give the float model"
        )


def require_onnx(job: Job, what: str) -> Path:
    """The folded ONNX, for a family that takes nothing else.

    Args:
        job: what is converted.
        what: who takes it, for the error's text.

    Raises:
        ModelFileError: the source is packed for its own runtime only.
    """
    if job.folded is None:
        raise ModelFileError(
            f"{job.source}: {what} takes ONNX files, got {job.source.suffix}, which is packed for its own runtime "
            "only; put model.onnx into the model directory"
        )
    return job.folded
