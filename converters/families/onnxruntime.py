"""ONNX Runtime: the folded model as ONNX, not optimised offline (that would tie it to one version and processor)."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import onnx

from contracts.errors import ModelFileError
from contracts.facts import Requirement
from contracts.manifest import TensorInfo
from converters.families.base import Emitted, Job, Recipe, require_onnx
from converters.families.onnxruntime_int8 import METHODS, optimised, weight_type, write_quantised
from converters.read import first_line, opset, output_shapes

# The first ONNX Runtime that implements an opset or reads an IR version, from its "ONNX Runtime compatibility" page.
_BY_OPSET = {11: "1.0", 12: "1.3", 13: "1.6", 14: "1.8", 15: "1.9", 16: "1.11", 17: "1.12", 18: "1.14", 19: "1.15"}
_BY_OPSET |= {20: "1.17", 21: "1.18"}
_BY_IR = {8: "1.12", 9: "1.15", 10: "1.18"}


def precisions(job: Job, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """See `converters.families.base.Family`."""
    weight_type(job)  # refuses other options
    require_onnx(job, "ONNX Runtime")
    made = {"int8"} if job.quantised else {"fp32", "int8"}
    return tuple(precision for precision in wanted if precision in made)


def methods(job: Job, precision: str) -> tuple[str, ...]:
    """See `converters.families.base.Family`."""
    return METHODS if precision == "int8" and not job.quantised else ("",)


def emit(job: Job, recipe: Recipe, folder: Path) -> Emitted:
    """See `converters.families.base.Family`."""
    assert job.folded is not None  # `precisions` refused it
    entry = folder / "model.onnx"
    toolchain = {"onnx": onnx.__version__}
    if recipe.precision == "int8" and not job.quantised:
        toolchain["onnxruntime"] = write_quantised(job, recipe, entry)
    else:
        shutil.copyfile(job.folded, entry)
    model = onnx.load(entry)
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # its exceptions share no base class
        raise ModelFileError(f"{job.source}: the quantised graph is not valid ({first_line(error)})") from error
    (frame,) = model.graph.input
    shape = tuple(dimension.dim_value for dimension in frame.type.tensor_type.shape.dim)
    return Emitted(
        precision=recipe.precision,
        entry=entry,
        inputs=(TensorInfo(name=frame.name, dtype="uint8", shape=shape),),
        outputs=tuple(_info(job, model, name, shape) for name, shape in output_shapes(job.source, model).items()),
        rounded=recipe.precision == "int8",
        floors=(*_floors(model), *_instructions(job, recipe)),
        toolchain=toolchain,
    )


def _info(job: Job, model: onnx.ModelProto, name: str, shape: tuple[int, ...]) -> TensorInfo:
    (value,) = (value for value in model.graph.output if value.name == name)
    kind = value.type.tensor_type.elem_type
    try:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)
    except KeyError:
        raise ModelFileError(f"{job.source}: output {name!r} has an unknown type {kind}; export it again") from None
    return TensorInfo(name=name, dtype=str(dtype), shape=shape)


def _instructions(job: Job, recipe: Recipe) -> tuple[Requirement, ...]:
    """Without VNNI, products of unsigned and signed bytes are added in 16 bits, which overflows on x86."""
    if recipe.precision != "int8" or job.options.get("int8") != "u8s8":
        return ()
    return (Requirement(fact="cpu.isa", has_any=("avx512_vnni", "avx_vnni", "amx_int8")),)


def _floors(model: onnx.ModelProto) -> tuple[Requirement, ...]:
    versions = [table[key] for table, key in ((_BY_OPSET, opset(model)), (_BY_IR, model.ir_version)) if key in table]
    return tuple(Requirement(fact="runtime.onnxruntime", at_least=version) for version in versions)


def executed(emitted: Emitted, execution_precision: str) -> Mapping[str, int] | None:
    """See `converters.families.base.Family`; from the graph as ONNX Runtime optimises it for this processor."""
    del execution_precision
    counted = Counter(_kind(node.op_type) for node in optimised(emitted.stand_in or emitted.entry).graph.node)
    counted.pop("", None)
    return dict(counted)


def _kind(operator: str) -> str:
    if operator in {"QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "QGemm", "DynamicQuantizeMatMul"}:
        return "int8"
    return (
        "f32"
        if operator in {"Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul", "ConvTranspose"}
        else ""
    )
