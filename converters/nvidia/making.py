"""The ONNX of one generation of TensorRT, from the folded model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import onnx
from onnx import helper

from contracts.errors import ModelFileError
from converters.families.base import Job, Recipe
from converters.fold import PREFIX
from converters.nvidia import modelopt
from converters.nvidia.generations import Rules
from converters.quantize.graph import Graph, load_named, normalised
from converters.quantize.half import beyond_half, to_half
from converters.quantize.opset import at_opset
from converters.quantize.placement import WEIGHTED, insert_qdq, quantised_nodes, residual_adds
from converters.quantize.ranges import Ranges, tensor_ranges
from converters.quantize.recognise import recognise, refusal
from converters.read import opset

_HALF_SCALES = 19  # the first opset in which the scales of Q and DQ may be FP16


@dataclass(frozen=True)
class Made:
    """An ONNX for a generation, and what goes with it.

    Args:
        model: what is shipped.
        stand_in: what computes the same on ONNX Runtime's CPU provider, uint8 in; None where `model` does.
        in_float: names of nodes that FP16 cannot hold.
        quantised: how many layers are quantised.
        layers: how many layers do the work.
        warnings: what a person should know.
        toolchain: what else wrote it, name to version.
    """

    model: onnx.ModelProto
    stand_in: onnx.ModelProto | None
    in_float: tuple[str, ...]
    quantised: int
    layers: int
    warnings: tuple[str, ...]
    toolchain: Mapping[str, str] = field(default_factory=dict)


def make(job: Job, recipe: Recipe, rules: Rules, generation: str) -> Made:
    """Make the ONNX.

    What stands in for fp16 is the model with FP16 written in, whatever the generation. For int8 it is the one with its
    Q/DQ pairs and the rest in FP32: ONNX Runtime 1.31 computes pairs with FP16 scales wrongly where it fuses them with
    an addition (the density model's counts come out 20 % too high, with its optimisations off 0.3 % too low).

    Raises:
        ModelFileError: the model is quantised in a way that TensorRT refuses, or cannot be written so.
        ToolchainMissingError: ModelOpt is to place the pairs and is not installed.
    """
    base = source_of(job, recipe, generation)
    in_float, warnings = _beyond_half(job, recipe, base)
    toolchain: Mapping[str, str] = {}
    if recipe.precision == "int8":
        base, toolchain = quantised(job, recipe, base, integer_weights=rules.integer_weights)
    typed = rules.strongly_typed and recipe.precision != "fp32"
    shipped = to_half(_at_least_half_scales(base), kept_out=in_float) if typed else base
    stand_in = to_half(base, kept_out=in_float) if recipe.precision == "fp16" and not typed else base
    if opset(shipped) > rules.max_opset:
        shipped = at_opset(shipped, rules.max_opset)
    if not rules.takes_uint8:
        shipped = float_input(shipped)
    emulates_itself = rules.takes_uint8 and (recipe.precision == "fp32" or typed == (recipe.precision == "fp16"))
    layers, count = count_layers(shipped)
    return Made(shipped, None if emulates_itself else stand_in, in_float, count, layers, warnings, toolchain)


def source_of(job: Job, recipe: Recipe, generation: str) -> onnx.ModelProto:
    """The folded model with the cast of its input first, after seeing that it is not quantised in a way refused.

    Raises:
        ModelFileError: it is, or it is quantised and shall be something else than int8.
    """
    assert job.folded is not None  # `precisions` refused it
    folded = load_named(job.folded)
    why = refusal(folded, generation)
    if why:
        raise ModelFileError(f"{job.source}: {why}")
    if recognise(folded).kind != "none" and recipe.precision != "int8":
        raise ModelFileError(
            f"{job.source}: the model is quantised already, which {recipe.precision} would undo; "
            "take int8, or give the float model"
        )
    return cast_first(folded)


def quantised(
    job: Job, recipe: Recipe, model: onnx.ModelProto, *, integer_weights: bool
) -> tuple[onnx.ModelProto, Mapping[str, str]]:
    """The model with Q/DQ pairs, and who else placed them; as it is where it came with its own.

    Raises:
        ModelFileError: there are no calibration pictures.
        ToolchainMissingError: ModelOpt is to place them and is not installed.
    """
    if recognise(model).kind != "none":
        return model, {}
    if job.options.get("placement") == modelopt.TOOLCHAIN:
        placed = modelopt.place(job, recipe, model, integer_weights=integer_weights)
        return placed.model, placed.toolchain
    if job.calibration is None:
        raise ModelFileError(f"{job.source}: INT8 needs calibration pictures; give --calibration")
    graph = Graph(normalised(model))
    layers = set(quantised_nodes(model))
    wanted = {node.input[0] for node in graph.nodes if node.name in layers}
    wanted |= set(residual_adds(graph, layers).values())
    ranges = _ranges(job, job.calibration, recipe.method, wanted)
    return insert_qdq(model, ranges, kept_out=recipe.kept_out, integer_weights=integer_weights), {}


def cast_first(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose uint8 input goes straight into the Cast; TensorRT has nothing else for uint8.

    The preparation moves bytes first, because that is faster on processors; moving floats gives the same.
    """
    moved = onnx.ModelProto()
    moved.CopyFrom(model)
    graph = moved.graph
    steps = [node for node in graph.node if node.name.startswith(PREFIX)]
    numbers = [number for number, node in enumerate(steps) if node.op_type == "Cast"]
    if not numbers or numbers[0] == 0:
        return moved
    before, cast = steps[: numbers[0]], steps[numbers[0]]
    entry, last = before[0].input[0], before[-1].output[0]
    for node in graph.node:
        _rewire(node, cast.output[0], last)
    before[0].input[0], cast.input[0] = cast.output[0], entry
    ahead = {cast.name, *(node.name for node in before)}
    nodes = [cast, *before, *(node for node in graph.node if node.name not in ahead)]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    del graph.value_info[:]
    return onnx.shape_inference.infer_shapes(moved, data_prop=True)


def float_input(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that takes the same values as float32: the Cast of the input, which comes first, is left out."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    value = graph.input[0]
    (cast,) = (node for node in graph.node if value.name in node.input)
    assert cast.op_type == "Cast"  # `cast_first` put it there
    for node in graph.node:
        _rewire(node, cast.output[0], value.name)
    kept = [node for node in graph.node if node.name != cast.name]
    del graph.node[:]
    graph.node.extend(kept)
    shape = [size.dim_value for size in value.type.tensor_type.shape.dim]
    value.CopyFrom(helper.make_tensor_value_info(value.name, onnx.TensorProto.FLOAT, shape))
    return changed


def count_layers(model: onnx.ModelProto) -> tuple[int, int]:
    """How many layers do the work, and how many of them read Q/DQ pairs."""
    graph = Graph(normalised(model))
    layers = [node for node in graph.nodes if node.op_type in WEIGHTED and not node.name.startswith(PREFIX)]
    return len(layers), sum(all(_dequantised(graph, name) for name in node.input[:2]) for node in layers)


def _dequantised(graph: Graph, name: str) -> bool:
    giver = graph.producers.get(name)
    return giver is not None and giver.op_type == "DequantizeLinear"


def _rewire(node: onnx.NodeProto, old: str, new: str) -> None:
    for place, name in enumerate(node.input):
        if name == old:
            node.input[place] = new


def _at_least_half_scales(model: onnx.ModelProto) -> onnx.ModelProto:
    has_scales = any(node.op_type == "DequantizeLinear" for node in model.graph.node)
    return at_opset(model, _HALF_SCALES) if has_scales and opset(model) < _HALF_SCALES else model


def _beyond_half(job: Job, recipe: Recipe, model: onnx.ModelProto) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The nodes that FP16 cannot hold, and what is to be said of them."""
    if recipe.precision == "fp32":
        return (), ()
    if job.calibration is None:
        return beyond_half(model, {}), (
            "no calibration pictures were given, so whether FP16 holds all values was not seen; give --calibration",
        )
    names = beyond_half(model, _ranges(job, job.calibration, "minmax", None))
    said = f"{len(names)} nodes hold values near or beyond FP16's largest and stay in FP32: {', '.join(names[:5])}"
    return names, ((said,) if names else ())


def _ranges(job: Job, calibration: Path, method: str, tensors: set[str] | None) -> Ranges:
    assert job.folded is not None
    return tensor_ranges(job.folded, calibration, method, tensors=tensors, cache=job.scratch)
