"""TFLite: onnx2tf writes the float32 file, ai-edge-quantizer rounds it; each runs in an environment of its own.

Only their float32 and these recipes: onnx2tf's own float16, dynamic and int16 files did not run or gave nonsense.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from contracts.documents import MachineModel
from contracts.errors import DocumentError, ModelFileError
from contracts.facts import Requirement
from contracts.manifest import TensorInfo
from converters.families.base import Emitted, Job, Recipe, refuse_quantised, require_onnx
from converters.quantize.graph import Graph, load_named
from converters.quantize.heads import head_layers, with_activations
from converters.read import first_line, output_shapes
from converters.tflite.flatbuffer import Graph as TfliteGraph
from converters.tflite.flatbuffer import read_graph, rename_ends
from converters.tflite.graph import INPUT, Renamed, renamed
from converters.tflite.mapping import heavy_types, kept_tensors, operators_of
from converters.tflite.preparation import with_convolution
from converters.toolchains.run import run
from runtime.results import Array

_PRECISIONS = ("fp32", "fp16", "int8", "dynamic")
_THREADS = 2
_PICTURES = 100  # that ranges are found on; each leaves all its activations behind, twice
_SAME = {"fp32": 1e-3, "fp16": 1e-3}
_SAME_ROUNDED = 0.25
"""How far XNNPACK and the reference kernels may be apart, of an output's size (measured: floats 3e-6, a density in int8
0.03, a detector's raw head in int8 0.12)."""
_FLOAT32, _RECORD = "float32.tflite", "float32.json"

# Operators that ran on tflite-runtime 2.14, the oldest runtime that we take, with numbers that agreed (the models here
# and those of the tests). A file with another one asks for the LiteRT that read it back.
_OLD = frozenset(
    (
        *("ADD", "CAST", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEQUANTIZE", "GATHER", "LOGISTIC"),
        *("MAX_POOL_2D", "MUL", "PAD", "QUANTIZE", "RELU", "RESHAPE", "RESIZE_NEAREST_NEIGHBOR", "STRIDED_SLICE"),
        *("SUB", "TRANSPOSE"),
    )
)


class _Conversion(MachineModel):
    """What onnx2tf's worker is told."""

    model: str
    entry: str
    input: str


class _Record(MachineModel):
    """What became of an output of an ONNX node."""

    output: str
    tensor: str


class _Converted(MachineModel):
    """What onnx2tf's worker answers."""

    toolchain: Mapping[str, str]
    records: tuple[_Record, ...]


class _Rounding(MachineModel):
    """What the quantizer's worker is told."""

    model: str
    entry: str
    precision: str
    keep: tuple[str, ...]
    threads: int = _THREADS
    calibration: str = ""
    input: str = ""
    method: str = ""


class _Rounded(MachineModel):
    """What the quantizer's worker answers."""

    toolchain: Mapping[str, str]


@dataclass(frozen=True)
class _Float:
    """The float32 file and where its operators came from."""

    file: Path
    names: Renamed
    records: Mapping[str, str]
    toolchain: Mapping[str, str]


def precisions(job: Job, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """See `converters.families.base.Family`."""
    if job.options:
        raise DocumentError("target's options", [f"{name}: the family tflite has no options" for name in job.options])
    require_onnx(job, "TFLite's converter")
    refuse_quantised(job, "TFLite's quantiser")
    return tuple(precision for precision in wanted if precision in _PRECISIONS)


def methods(job: Job, precision: str) -> tuple[str, ...]:
    """See `converters.families.base.Family`."""
    del job
    return ("minmax", "mse") if precision == "int8" else ("",)


def emit(job: Job, recipe: Recipe, folder: Path) -> Emitted:
    """See `converters.families.base.Family`."""
    float32 = _float32(job)
    entry = folder / "model.tflite"
    toolchain = dict(float32.toolchain)
    if recipe.precision == "fp32":
        entry.write_bytes(float32.file.read_bytes())
    else:
        toolchain |= run("ai-edge-quantizer", _rounding(job, recipe, float32, entry), _Rounded).toolchain
    graph = read_graph(entry)
    inputs, outputs = _infos(job, graph)
    _check_outputs(job, outputs)
    _try(job, entry, recipe)
    return Emitted(
        precision=recipe.precision,
        entry=entry,
        inputs=inputs,
        outputs=outputs,
        rounded=recipe.precision != "fp32",
        floors=_floors(graph),
        toolchain=toolchain | {"ai-edge-litert": _litert()},
        warnings=_left_float(job, recipe, float32, graph),
    )


def _float32(job: Job) -> _Float:
    """The float32 file; made once for all targets and precisions."""
    assert job.folded is not None  # `precisions` refused it
    folder = job.scratch / "float32"
    names = renamed(with_convolution(load_named(job.folded), job.spec.input))
    if not folder.is_dir():
        with tempfile.TemporaryDirectory(dir=job.scratch) as own:
            made = Path(own, "made")
            made.mkdir()
            _convert(names, made)
            with contextlib.suppress(OSError):  # another process was faster
                made.rename(folder)
    converted = _Converted.model_validate_json((folder / _RECORD).read_bytes())
    records = {row.output: row.tensor for row in converted.records}
    return _Float(folder / _FLOAT32, names, records, converted.toolchain)


def _convert(names: Renamed, folder: Path) -> None:
    onnx.save(names.model, folder / "renamed.onnx")
    file = folder / _FLOAT32
    answer = run("onnx2tf", _Conversion(model=str(folder / "renamed.onnx"), entry=str(file), input=INPUT), _Converted)
    rename_ends(file, {INPUT: names.input, **names.outputs})
    (folder / _RECORD).write_text(answer.model_dump_json(), encoding="utf-8")


def _rounding(job: Job, recipe: Recipe, float32: _Float, entry: Path) -> _Rounding:
    graph = read_graph(float32.file)
    keep = _kept(job, recipe, float32, graph)
    question = _Rounding(model=str(float32.file), entry=str(entry), precision=recipe.precision, keep=keep)
    if recipe.precision != "int8":
        return question
    pictures = {"calibration": str(_pictures(job)), "input": float32.names.input, "method": recipe.method}
    return question.model_copy(update=pictures)


def _kept(job: Job, recipe: Recipe, float32: _Float, graph: TfliteGraph) -> tuple[str, ...]:
    """Names of the tensors whose operators stay in floating point: those of the recipe, and the last layers.

    `head_layers` says why the last ones.
    """
    assert job.folded is not None  # `precisions` refused it
    source = Graph(load_named(job.folded))
    found = operators_of(float32.names, float32.records, graph)
    together = with_activations(source, (*recipe.kept_out, *head_layers(source)))
    # Activations may have gone into their layer's operator; a layer that was asked for has to be there.
    return kept_tensors(found, (*recipe.kept_out, *(name for name in together if name in found)), graph)


def _pictures(job: Job) -> Path:
    """The pictures that ranges are found on: all of them, or as many, evenly spread, as can be afforded."""
    if job.calibration is None:
        raise ModelFileError(
            f"{job.source}: int8 needs calibration pictures, there are none; give a folder of them with --calibration"
        )
    pictures = np.load(job.calibration, mmap_mode="r", allow_pickle=False)
    if len(pictures) <= _PICTURES:
        return job.calibration
    chosen = job.scratch / "calibration.npy"
    if not chosen.is_file():
        with tempfile.TemporaryDirectory(dir=job.scratch) as own:
            part = Path(own, chosen.name)
            np.save(part, pictures[np.linspace(0, len(pictures) - 1, _PICTURES).round().astype(int)])
            part.replace(chosen)
    return chosen


def _infos(job: Job, graph: TfliteGraph) -> tuple[tuple[TensorInfo, ...], tuple[TensorInfo, ...]]:
    spec = job.spec.input
    inputs, outputs = (
        tuple(TensorInfo(name=tensor.name, dtype=tensor.dtype, shape=tensor.shape) for tensor in ends)
        for ends in (graph.inputs, graph.outputs)
    )
    wanted = (1, spec.height, spec.width, 3)
    if len(inputs) != 1 or (inputs[0].dtype, inputs[0].shape) != ("uint8", wanted):
        came = ", ".join(f"{end.name!r} {end.dtype} {end.shape}" for end in inputs) or "none"
        raise ModelFileError(
            f"{job.source}: expected TFLite's input as uint8 {wanted} from model.toml, onnx2tf made {came}; "
            "choose another target"
        )
    return inputs, outputs


def _check_outputs(job: Job, outputs: tuple[TensorInfo, ...]) -> None:
    """The same outputs in the same layouts as the ONNX: that is what decoders read."""
    assert job.folded is not None  # `precisions` refused it
    wanted = output_shapes(job.source, onnx.load(job.folded))
    came = {output.name: output.shape for output in outputs}
    if came != wanted:
        raise ModelFileError(
            f"{job.source}: expected the outputs {wanted}, onnx2tf made {came} of them; choose another target"
        )


def _try(job: Job, entry: Path, recipe: Recipe) -> None:
    """Run the file with XNNPACK and with the reference kernels, on a calibration picture where there is one.

    Raises:
        ModelFileError: one of them refuses it, or they differ: one would compute something else on a device.
    """
    spec = job.spec.input
    picture: Array = np.full((1, spec.height, spec.width, 3), 114, np.uint8)
    if job.calibration is not None:
        picture = np.load(job.calibration, mmap_mode="r", allow_pickle=False)[:1]
    try:
        fast, slow = (_run(entry, resolver, picture) for resolver in (OpResolverType.AUTO, OpResolverType.BUILTIN_REF))
    except (RuntimeError, ValueError) as error:
        raise ModelFileError(
            f"{job.source}: TFLite does not run its {recipe.precision} file ({first_line(error)}); "
            "choose another target"
        ) from error
    for name, values in fast.items():
        gap = _relative(values, slow[name])
        if not gap <= _SAME.get(recipe.precision, _SAME_ROUNDED):
            raise ModelFileError(
                f"{job.source}: XNNPACK and the reference kernels differ by {gap:.2g} of the size of output {name!r} "
                f"in the {recipe.precision} file; choose another target or precision"
            )


def _relative(values: Array, reference: Array) -> float:
    """Root mean square of the difference over that of the reference; the difference's own where that is zero.

    Not the largest difference: a detector's raw head answers to rounding where it finds nothing.
    """
    size = float(np.sqrt(np.mean(np.square(reference))))
    return float(np.sqrt(np.mean(np.square(values - reference)))) / (size or 1.0)


def _run(entry: Path, resolver: OpResolverType, picture: Array) -> dict[str, Array]:
    interpreter = Interpreter(model_path=str(entry), num_threads=_THREADS, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    (frame,) = interpreter.get_input_details()
    interpreter.set_tensor(frame["index"], picture)
    interpreter.invoke()
    ends = interpreter.get_output_details()
    return {end["name"]: interpreter.get_tensor(end["index"]).astype(np.float64) for end in ends}


def _floors(graph: TfliteGraph) -> tuple[Requirement, ...]:
    newer = {operator.kind for operator in graph.operators} - _OLD
    return (Requirement(fact="runtime.litert", at_least=_litert()),) if newer else ()


def _litert() -> str:
    from importlib.metadata import version

    return version("ai-edge-litert")


def _left_float(job: Job, recipe: Recipe, float32: _Float, graph: TfliteGraph) -> tuple[str, ...]:
    """Say which convolutions and products of an int8 file stayed in floating point though nobody asked for it."""
    if recipe.precision not in {"int8", "dynamic"}:
        return ()
    asked = set(_kept(job, recipe, float32, read_graph(float32.file)))
    left = [name for name, types in heavy_types(graph).items() if "int8" not in types and name not in asked]
    if not left:
        return ()
    return (f"{len(left)} convolutions or products stayed in floating point in {recipe.precision}: {', '.join(left)}",)


def executed(emitted: Emitted, execution_precision: str) -> Mapping[str, int] | None:
    """See `converters.families.base.Family`; TFLite computes in the types that stand in the file."""
    del execution_precision
    counts: dict[str, int] = {}
    for data, weights in heavy_types(read_graph(emitted.entry)).values():
        # int8 weights under a float32 input are the dynamic kernels: the input is rounded as it comes.
        kind = "int8" if "int8" in {data, weights} else {"float32": "f32", "float16": "f16"}.get(data, "elsewhere")
        counts[kind] = counts.get(kind, 0) + 1
    return counts
