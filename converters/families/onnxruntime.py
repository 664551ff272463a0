"""ONNX Runtime: the folded model as ONNX, not optimised offline (that would tie it to one version and processor)."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import onnx

from contracts.errors import ModelFileError
from contracts.facts import Requirement
from converters.families.base import VNNI, Emitted, Job, Recipe, require_onnx
from converters.families.onnxruntime_dynamic import DYNAMIC, nothing_to_round, write_dynamic
from converters.families.onnxruntime_int8 import METHODS, optimised, weight_type, write_quantised
from converters.read import first_line, input_infos, opset, output_infos

# The first ONNX Runtime that implements an opset or reads an IR version, from its "ONNX Runtime compatibility" page.
_BY_OPSET = {11: "1.0", 12: "1.3", 13: "1.6", 14: "1.8", 15: "1.9", 16: "1.11", 17: "1.12", 18: "1.14", 19: "1.15"}
_BY_OPSET |= {20: "1.17", 21: "1.18"}
_BY_IR = {8: "1.12", 9: "1.15", 10: "1.18"}


def precisions(job: Job, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """See `converters.families.base.Family`; ``dynamic`` only of a model that has something in it for it."""
    weight_type(job)  # refuses other options
    require_onnx(job, "ONNX Runtime")
    made = {"int8"} if job.quantised else {"fp32", "int8", DYNAMIC}
    if DYNAMIC in made and DYNAMIC in wanted and (why := nothing_to_round(job)):
        if set(wanted) == {DYNAMIC}:
            raise ModelFileError(why)
        made.remove(DYNAMIC)
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
    elif recipe.precision == DYNAMIC:
        toolchain["onnxruntime"] = write_dynamic(job, recipe, entry)
    else:
        shutil.copyfile(job.folded, entry)
    model = onnx.load(entry)
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # its exceptions share no base class
        raise ModelFileError(f"{job.source}: the quantised graph is not valid ({first_line(error)})") from error
    return Emitted(
        precision=recipe.precision,
        entry=entry,
        inputs=input_infos(job.source, model),
        outputs=output_infos(job.source, model),
        rounded=recipe.precision != "fp32",
        floors=(*_floors(model), *_instructions(job, recipe)),
        toolchain=toolchain,
    )


def _instructions(job: Job, recipe: Recipe) -> tuple[Requirement, ...]:
    if recipe.precision == "fp32" or job.options.get("int8") != "u8s8":
        return ()
    return (VNNI,)


def _floors(model: onnx.ModelProto) -> tuple[Requirement, ...]:
    versions = [table[key] for table, key in ((_BY_OPSET, opset(model)), (_BY_IR, model.ir_version)) if key in table]
    return tuple(Requirement(fact="runtime.onnxruntime", at_least=version) for version in versions)


def executed(emitted: Emitted, execution_precision: str) -> Mapping[str, int] | None:
    """See `converters.families.base.Family`; from the graph as ONNX Runtime optimises it for this processor."""
    del execution_precision
    counted = Counter(_kind(node.op_type) for node in optimised(emitted.stand_in or emitted.entry).graph.node)
    counted.pop("", None)
    return dict(counted)


_INTEGER = frozenset(
    (
        *("QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "MatMulIntegerToFloat", "QGemm"),
        *("DynamicQuantizeMatMul", "DynamicQuantizeLSTM"),
    )
)
_FLOAT = frozenset(("Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul", "ConvTranspose", "LSTM"))


def _kind(operator: str) -> str:
    if operator in _INTEGER:
        return "int8"
    return "f32" if operator in _FLOAT else ""
