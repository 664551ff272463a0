"""Q/DQ pairs placed by NVIDIA's own Model Optimizer, in an environment of its own, instead of by us.

It knows rules that `converters.quantize.placement` does not (shared scales before a Concat, heads of transformers);
whether they gain anything shows on the GPU. What it gives is brought into the form that the rest expects: scales that
FP16 holds, and weights as integers where the generation of TensorRT reads them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from contracts.documents import MachineModel
from contracts.errors import ModelFileError
from converters.families.base import Job, Recipe
from converters.fold import PREFIX
from converters.quantize.graph import Graph, attribute, normalised
from converters.quantize.heads import head_layers
from converters.quantize.placement import LEVELS, quantise, scales_of
from converters.read import first_line
from converters.toolchains.run import run

METHODS = ("max", "entropy")
"""Its ways of finding ranges, cheapest first."""
TOOLCHAIN = "modelopt"
_PICTURES = 100  # that ranges are found on; ``entropy`` holds a histogram of every tensor and passes over them twice


class Placing(MachineModel):
    """What its worker is told."""

    model: str
    entry: str
    calibration: str
    pictures: int
    input: str
    method: str
    keep: tuple[str, ...]


class Placed(MachineModel):
    """What its worker answers."""

    toolchain: Mapping[str, str]


@dataclass(frozen=True)
class Quantised:
    """A model with its pairs, and what placed them."""

    model: onnx.ModelProto
    toolchain: Mapping[str, str]


def place(job: Job, recipe: Recipe, model: onnx.ModelProto, *, integer_weights: bool) -> Quantised:
    """Have the pairs placed; the preparation and the last layers stay in float, as where we place them.

    Args:
        job: what is converted.
        recipe: its method is one of `METHODS`.
        model: folded, the cast of its input first.
        integer_weights: whether weights may stand as int8.

    Raises:
        ToolchainMissingError: ModelOpt is not installed here; the sentence has the command.
        ModelFileError: there are no calibration pictures, it refuses the model, or gives another one.
    """
    if job.calibration is None:
        raise ModelFileError(f"{job.source}: INT8 needs calibration pictures; give --calibration")
    named = normalised(model)
    graph = Graph(named)
    ours = (node.name for node in graph.nodes if node.name.startswith(PREFIX))
    with tempfile.TemporaryDirectory(dir=job.scratch) as folder:
        given, entry = Path(folder, "given.onnx"), Path(folder, "placed.onnx")
        onnx.save(named, given)
        question = Placing(
            model=str(given),
            entry=str(entry),
            calibration=str(job.calibration),
            pictures=_PICTURES,
            input=named.graph.input[0].name,
            method=recipe.method,
            keep=tuple(dict.fromkeys((*recipe.kept_out, *head_layers(graph), *ours))),
        )
        toolchain = run(TOOLCHAIN, question, Placed).toolchain
        placed = _read(job, entry)
    if _ends(placed) != _ends(named):
        raise ModelFileError(
            f"{job.source}: ModelOpt gave a model with other inputs or outputs; leave the option placement out"
        )
    _round_scales(placed)
    return Quantised(_with_integers(placed) if integer_weights else placed, toolchain)


def _read(job: Job, entry: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(entry)
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # its exceptions share no base class
        raise ModelFileError(
            f"{job.source}: ModelOpt wrote no valid model ({first_line(error)}); leave the option placement out"
        ) from error
    return normalised(model)


def _ends(model: onnx.ModelProto) -> list[tuple[str, int]]:
    return [(end.name, end.type.tensor_type.elem_type) for end in (*model.graph.input, *model.graph.output)]


def _round_scales(model: onnx.ModelProto) -> None:
    """Round scales up to what FP16 holds, so that the same numbers stand in a model that is FP16 otherwise."""
    kinds = {"QuantizeLinear", "DequantizeLinear"}
    names = {node.input[1] for node in model.graph.node if node.op_type in kinds}
    for tensor in model.graph.initializer:
        if tensor.name in names and tensor.data_type == onnx.TensorProto.FLOAT:
            scales = numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array(scales_of(scales * np.float32(LEVELS)), tensor.name))


def _with_integers(model: onnx.ModelProto) -> onnx.ModelProto:
    """Weights as int8 with a DequantizeLinear, instead of as float with a pair."""
    graph = Graph(model)
    integers: dict[str, NDArray[np.int8]] = {}
    for node in graph.nodes:
        weights, scales = graph.weights(node.input[0]), graph.weights(node.input[1]) if len(node.input) > 1 else None
        if node.op_type == "QuantizeLinear" and weights is not None and scales is not None:
            axis = attribute(node, "axis", 1) if scales.ndim else None
            integers[node.output[0]] = quantise(weights, scales, axis)
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    kept = [node for node in graph.nodes if node.output[0] not in integers]
    used = {name for node in kept for name in node.input}
    constants = [tensor for tensor in graph.initializers.values() if tensor.name in used]
    del changed.graph.node[:], changed.graph.initializer[:], changed.graph.value_info[:]
    changed.graph.node.extend(kept)
    changed.graph.initializer.extend(constants)
    changed.graph.initializer.extend(numpy_helper.from_array(values, name) for name, values in integers.items())
    return onnx.shape_inference.infer_shapes(changed, data_prop=True)
