"""OpenVINO: the intermediate representation (.xml with .bin), never a compiled blob, which only one version reads."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import TypeVar

from contracts.errors import DocumentError, ModelFileError
from contracts.facts import Requirement
from contracts.manifest import TensorInfo
from contracts.model_spec import InputSpec
from converters.families.base import VNNI, Emitted, Job, Recipe
from converters.families.openvino_int8 import METHODS, WHOLE_RANGE, quantised
from converters.ir import check_ir, element_precision, read_ir
from converters.quantize.graph import Graph, load_named
from converters.quantize.heads import head_layers
from converters.read import first_line
from runtime.backends.quiet_openvino import hints, ov

# The first OpenVINO that reads an operator set, from its page "Available Operation Sets" (2024.6); a newer set needs
# the version that wrote it.
_BY_OPSET = {11: "2023.0", 12: "2023.1", 13: "2023.2", 14: "2024.0", 15: "2024.5"}
_OLDEST = "2022.3"
_OPTIONS: tuple[dict[str, str], ...] = ({}, {"whole_range": "vnni"})
_EXECUTED = frozenset({"f32", "bf16", "f16"})
_WORK = frozenset({"Convolution", "FullyConnected", "MatMul", "Deconvolution"})
_RUN_AS = {"FP32": "f32", "f32": "f32", "BF16": "bf16", "bf16": "bf16", "FP16": "f16", "f16": "f16"}
_RUN_AS |= dict.fromkeys(("I8", "U8", "i8", "u8"), "int8")
_Result = TypeVar("_Result")


def precisions(job: Job, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """See `converters.families.base.Family`; an IR is packed as it is, so its precision is what it holds."""
    if dict(job.options) not in _OPTIONS:
        came = ", ".join(f"{key!r} = {value!r}" for key, value in job.options.items())
        raise DocumentError(
            "the target's options", [f"expected whole_range = 'vnni' or none, got {came}; mend the target"]
        )
    if job.folded is not None:
        made = {"int8"} if job.quantised else {"fp32", "fp16", "int8"}
        return tuple(precision for precision in wanted if precision in made)
    if job.source.suffix != ".xml":
        raise ModelFileError(
            f"{job.source}: OpenVINO takes ONNX and its own .xml, got {job.source.suffix}; "
            "put model.onnx or model.xml into the model directory"
        )
    return (element_precision(read_ir(job.source)),)


def methods(job: Job, precision: str) -> tuple[str, ...]:
    """See `converters.families.base.Family`."""
    return METHODS if precision == "int8" and not job.quantised else ("",)


def emit(job: Job, recipe: Recipe, folder: Path) -> Emitted:
    """See `converters.families.base.Family`."""
    kept = job.scratch / _key(recipe)
    if not kept.is_dir():
        _write(job, recipe, kept)
    shutil.copytree(kept, folder, dirs_exist_ok=True)
    entry = folder / "model.xml"
    toolchain = {"openvino": _version()}
    if recipe.precision == "int8":
        toolchain["nncf"] = metadata.version("nncf")
    saved = _guarded(job.source, "does not read back what it wrote", lambda: ov.Core().read_model(entry))
    return Emitted(
        precision=recipe.precision,
        entry=entry,
        inputs=tuple(_info(job.source, port) for port in saved.inputs),
        outputs=tuple(_info(job.source, port) for port in saved.outputs),
        rounded=recipe.precision in {"fp16", "int8"} and job.folded is not None,
        floors=(Requirement(fact="runtime.openvino", at_least=_floor(entry)), *_instructions(job, recipe)),
        toolchain=toolchain,
    )


def _instructions(job: Job, recipe: Recipe) -> tuple[Requirement, ...]:
    """What the processor must have; graphics and NPU add products of bytes in 32 bits."""
    return (VNNI,) if recipe.method == WHOLE_RANGE and job.options else ()


def _key(recipe: Recipe) -> str:
    """The processor, the graphics and the NPU take the same file: it is made once."""
    return hashlib.sha256(repr(recipe).encode()).hexdigest()[:16]


def _write(job: Job, recipe: Recipe, kept: Path) -> None:
    model = _from_onnx(job.folded, job.source) if job.folded else _with_preparation(job.source, job.spec.input)
    if recipe.precision == "int8" and job.folded and not job.quantised:
        model = _quantised(job, recipe, model)
    for key, value in job.origin.items():
        model.set_rt_info(value, ["edgetally", key])
    growing = kept.with_suffix(".growing")
    shutil.rmtree(growing, ignore_errors=True)
    growing.mkdir()
    try:
        # An IR keeps the element types it came with; compressing one again would change what was said to be packed.
        compress = recipe.precision == "fp16" and job.folded is not None
        ov.save_model(model, growing / "model.xml", compress_to_fp16=compress)
    except RuntimeError as error:
        _ask_the_disk(growing, job.folded or job.source.with_suffix(".bin"))
        raise _refused(job.source, "does not save it", error) from error
    growing.rename(kept)


def _from_onnx(folded: Path, source: Path) -> ov.Model:
    import onnx

    # Not Core.read_model: converting also settles shapes, which halves the time a device takes to compile it.
    model = _guarded(source, "does not convert it", lambda: ov.convert_model(folded))
    graph = onnx.load(folded, load_external_data=False).graph
    _name_outputs(model, [value.name for value in graph.output])
    _number_names(model, {name for node in graph.node for name in (node.name, *node.output)})
    return model


def _quantised(job: Job, recipe: Recipe, model: ov.Model) -> ov.Model:
    assert job.folded is not None
    if job.calibration is None:
        raise ModelFileError(f"{job.source}: INT8 needs calibration pictures; give --calibration")
    graph = Graph(load_named(job.folded))
    heads = head_layers(graph)
    known = {name for node in graph.nodes for name in (node.name, *node.output)}
    names = [port.any_name for port in model.outputs]
    done = quantised(
        model, job.source, model.input().any_name, job.calibration, recipe.method, {*recipe.kept_out, *heads}
    )
    _name_outputs(done, names)
    _number_names(done, known)
    return done


def _with_preparation(source: Path, spec: InputSpec) -> ov.Model:
    """An IR with the preparation put before it: uint8 NHWC BGR in, as for every artifact."""
    model = read_ir(source)
    check_ir(source, model, spec)
    outputs = [port.any_name for port in model.outputs]
    layers = {node.get_friendly_name() for node in model.get_ops()}
    prepare = ov.preprocess.PrePostProcessor(model)
    frame = prepare.input()
    frame.tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    frame.tensor().set_color_format(ov.preprocess.ColorFormat.BGR)
    steps = frame.preprocess().convert_element_type(ov.Type.f32)
    if spec.color != "bgr":
        formats = {"rgb": ov.preprocess.ColorFormat.RGB, "gray": ov.preprocess.ColorFormat.GRAY}
        steps.convert_color(formats[spec.color])
    if any(spec.mean):
        steps.mean(list(spec.mean) * (spec.channels // len(spec.mean)))
    if any(value != 1.0 for value in spec.std):
        steps.scale(list(spec.std) * (spec.channels // len(spec.std)))
    frame.model().set_layout(ov.Layout("NCHW"))
    built = _guarded(source, "does not put the preparation before it", prepare.build)
    _name_outputs(built, outputs)
    _number_names(built, layers)
    return built


def _name_outputs(model: ov.Model, names: list[str]) -> None:
    """A tensor may carry the names of several values that turned out to be one; keep the one that decoders know."""
    for port, name in zip(model.outputs, names, strict=True):
        port.get_tensor().set_names({name})


def _number_names(model: ov.Model, known: set[str]) -> None:
    """Number anew what OpenVINO added and named by a counter of the process: the same model gives the same bytes.

    Names of the source stay: an exclusion list for quantising goes by them.
    """
    for number, node in enumerate(model.get_ordered_ops()):
        if node.get_friendly_name() not in known:
            node.set_friendly_name(f"edgetally_{node.get_type_name()}_{number}")


def _info(source: Path, port: ov.Output) -> TensorInfo:
    if port.partial_shape.is_dynamic:
        raise ModelFileError(
            f"{source}: expected {port.any_name!r} to have one size, got {port.partial_shape}; "
            "export the model with a fixed input size and without NMS"
        )
    return TensorInfo(name=port.any_name, dtype=str(port.element_type.to_dtype()), shape=tuple(port.shape))


def _floor(entry: Path) -> str:
    found = re.findall(r'version="opset(\d+)"', entry.read_text(encoding="utf-8"))
    newest = max((int(number) for number in found), default=0)
    if newest < min(_BY_OPSET):
        return _OLDEST
    return _BY_OPSET.get(newest, ".".join(_version().split(".")[:2]))


def _version() -> str:
    return str(ov.__version__).partition("-")[0]


def _guarded(source: Path, problem: str, work: Callable[[], _Result]) -> _Result:
    try:
        return work()
    except RuntimeError as error:
        raise _refused(source, problem, error) from error


def _refused(source: Path, problem: str, error: RuntimeError) -> ModelFileError:
    return ModelFileError(
        f"{source}: OpenVINO {problem} ({first_line(error)}); choose another target or export the model again"
    )


def _ask_the_disk(folder: Path, as_large_as: Path) -> None:
    """OpenVINO calls a full disk an "iostream error": write as much ourselves, so that the system's word comes out.

    Raises:
        OSError: the disk is full or not writable.
    """
    probe = folder / "probe"
    try:
        shutil.copyfile(as_large_as, probe)
    finally:
        probe.unlink(missing_ok=True)


def executed(emitted: Emitted, execution_precision: str) -> Mapping[str, int] | None:
    """See `converters.families.base.Family`; OpenVINO's compiled graph names what each layer computes with."""
    if execution_precision not in _EXECUTED:
        return None
    settings = {hints.inference_precision(): getattr(ov.Type, execution_precision)}
    compiled = ov.Core().compile_model(str(emitted.entry), "CPU", settings)
    counted: Counter[str] = Counter()
    for node in compiled.get_runtime_model().get_ordered_ops():
        info = node.get_rt_info()
        if str(info["layerType"].astype(str)) in _WORK:
            counted[_RUN_AS.get(str(info["runtimePrecision"].astype(str)), "elsewhere")] += 1
    return dict(counted)
