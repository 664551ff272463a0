"""TensorRT for RTX: an engine made ahead of time, without a GPU, for the compute capabilities that the target names.

The runtime on the device has to be the very version that made it; kernels are finished there. No GPU runs it here: the
ONNX that it was made from stands in, on ONNX Runtime's processor.

No int8: the support matrix of TensorRT for RTX knows int8 for the weights of matrix products only, not for
convolutions, though it parses and builds them ("Support Matrix", "Hardware and Precision").
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx

from contracts.documents import WrittenModel, read_document
from contracts.engine_recipe import Generation
from contracts.errors import DocumentError, ModelFileError
from contracts.facts import Requirement
from converters.families import tensorrt
from converters.families.base import Emitted, Job, Recipe, refuse_quantised, require_onnx
from converters.nvidia.generations import GENERATIONS, check_rules
from converters.nvidia.making import make
from converters.nvidia.parser import parse
from converters.read import input_infos, output_infos
from runtime.plan_header import HEADER_SIZE, read_plan_header

COMPUTE = ("75", "80", "86", "89", "120", "121")
"""Compute capabilities that TensorRT for RTX 1.7 builds for: the members of its enumeration ``ComputeCapability``.

With Turing (75) an engine holds finished kernels and is fifty times as large; NVIDIA advises one of its own for it
("CPU-Only AOT and TensorRT-RTX Engines").
"""

_PRECISIONS = ("fp32", "fp16")
_GENERATION: Generation = "11"  # strongly typed, the same ONNX


class _Options(WrittenModel):
    compute: str


def precisions(job: Job, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """See `converters.families.base.Family`."""
    compute_of(job.options)
    require_onnx(job, "TensorRT for RTX")
    refuse_quantised(job, "TensorRT for RTX, whose convolutions know no int8,")
    return tuple(precision for precision in wanted if precision in _PRECISIONS)


def methods(job: Job, precision: str) -> tuple[str, ...]:
    """See `converters.families.base.Family`."""
    del job, precision
    return ("",)


def emit(job: Job, recipe: Recipe, folder: Path) -> Emitted:
    """See `converters.families.base.Family`."""
    compute = compute_of(job.options)
    if recipe.precision not in _PRECISIONS:
        raise ModelFileError(
            f"{job.source}: TensorRT for RTX is given {' and '.join(_PRECISIONS)}, got {recipe.precision}: "
            "it has no int8 convolutions"
        )
    made = make(job, recipe, GENERATIONS[_GENERATION], _GENERATION)
    check_rules(made.model, _GENERATION, str(job.source))
    source = job.scratch / _source_name(recipe.precision)
    tensorrt.save(job, made.model, source)
    entry = folder / "model.engine"
    parsed = parse(source, engine=entry, compute=compute)
    return Emitted(
        precision=recipe.precision,
        entry=entry,
        inputs=input_infos(job.source, made.model),
        outputs=output_infos(job.source, made.model),
        rounded=recipe.precision != "fp32",
        floors=(_version_of(entry), Requirement(fact="gpu.sm", any_of=compute)),
        toolchain={"onnx": onnx.__version__, "tensorrt-rtx": parsed.version},
        stand_in=source,
        warnings=made.warnings,
    )


def executed(emitted: Emitted, execution_precision: str) -> Mapping[str, int] | None:
    """See `converters.families.base.Family`; what the layers of the network are that the engine was built from."""
    del execution_precision
    assert emitted.stand_in is not None  # `emit` gives one
    return parse(emitted.stand_in.with_name(_source_name(emitted.precision))).layers


def compute_of(options: Mapping[str, str]) -> tuple[str, ...]:
    """The compute capabilities that a target's option ``compute`` names, with commas between.

    Raises:
        DocumentError: there are none, one is unknown, or another option is there.
    """
    where = "[options] of a TensorRT for RTX target"
    names = tuple(name.strip() for name in read_document(_Options, options, where).compute.split(",") if name.strip())
    unknown = [name for name in names if name not in COMPUTE]
    if unknown or not names:
        came = repr(unknown[0]) if unknown else "none"
        raise DocumentError(where, [f"'compute' should name some of {', '.join(COMPUTE)}, got {came}"])
    return names


def _version_of(entry: Path) -> Requirement:
    with entry.open("rb") as file:
        header = read_plan_header(file.read(HEADER_SIZE), str(entry))
    return Requirement(fact=header.fact, equals=header.version)


def _source_name(precision: str) -> str:
    return f"rtx-{precision}.onnx"
