"""FP16 written into an ONNX: for TensorRT with strong typing, which computes in the types that stand there.

The conversion is onnxconverter-common's; around it this sees to what it does not: the preparation of the picture stays
in FP32, Resize keeps its scales in FP32 as ONNX demands, what lies beyond FP16 on the calibration pictures stays in
FP32 and is named, and no value goes through FP16 between two nodes that are both in FP32.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping

import numpy as np
import onnx

from contracts.errors import ModelFileError, RuntimeMissingError
from converters.fold import PREFIX
from converters.quantize.graph import Graph, normalised
from converters.quantize.ranges import Ranges
from converters.read import first_line

LARGEST = float(np.finfo(np.float16).max)
MARGIN = 2.0  # calibration pictures do not show the largest value there will ever be
_SMALLEST = 2.0**-24  # of FP16; the converter would cut at 1e-7 and 1e4 by itself
_CONVERTED_ANYWAY = {"Resize", "Min", "Max"}  # on the converter's list of what stays, though TensorRT has them in FP16
_FLOAT_INPUTS = {"Resize": (1, 2)}  # roi and scales


def beyond_half(model: onnx.ModelProto, ranges: Ranges) -> tuple[str, ...]:
    """Names of the nodes that give, take or hold values that FP16 may not.

    Args:
        model: a folded model.
        ranges: of all its tensors, by ``minmax``.
    """
    graph = Graph(normalised(model))
    large = {name for name, (low, high) in ranges.items() if max(-low, high) * MARGIN > LARGEST}
    large |= {name for name in graph.initializers if _is_large(graph, name)}
    touched = (node for node in graph.nodes if large & {*node.input, *node.output})
    return tuple(node.name for node in touched if not node.name.startswith(PREFIX))


def to_half(model: onnx.ModelProto, *, kept_out: Collection[str] = ()) -> onnx.ModelProto:
    """A copy that computes in FP16 between its preparation and its outputs, which stay float32.

    Args:
        model: a folded model in float, quantised or not (a quantised one has to be of opset 19 or later, the first in
            which scales may be FP16).
        kept_out: names of nodes that stay in FP32.

    Raises:
        RuntimeMissingError: onnxconverter-common is not installed.
        ModelFileError: what came out is not a valid model.
    """
    try:
        from onnxconverter_common import float16
    except ModuleNotFoundError as error:
        raise RuntimeMissingError("FP16 with strong typing", error.name or "onnxconverter_common", "convert") from error

    source = _with_outputs_apart(normalised(model))
    blocked = {node.name for node in source.graph.node if node.name.startswith(PREFIX)} | set(kept_out)
    floats = _float_inputs(source, blocked)
    outputs = {value.name: value.type.tensor_type.elem_type for value in source.graph.output}
    operators = [name for name in float16.DEFAULT_OP_BLOCK_LIST if name not in _CONVERTED_ANYWAY]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells of each weight below 6e-8
        half = float16.convert_float_to_float16(
            source,
            min_positive_val=_SMALLEST,
            max_finite_val=LARGEST,
            keep_io_types=True,
            disable_shape_infer=True,
            op_block_list=operators,
            node_block_list=sorted(blocked),
            check_fp16_ready=False,
        )
    _restore(half.graph, floats)
    _restore_outputs(half.graph, outputs)
    _join_casts(half.graph)
    return _checked(half)


def _with_outputs_apart(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which no output is read within the graph: the converter would hand its FP32 to nodes that take FP16."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    read = {name for node in copy.graph.node for name in node.input}
    for name in [value.name for value in copy.graph.output if value.name in read]:
        inner = f"{name}/inner"
        for node in copy.graph.node:
            for names in (node.input, node.output):
                for place, found in enumerate(names):
                    if found == name:
                        names[place] = inner
        copy.graph.node.append(onnx.helper.make_node("Identity", [inner], [name], name=f"{name}/output"))
    return copy


def _is_large(graph: Graph, name: str) -> bool:
    values = graph.weights(name)
    return values is not None and values.size > 0 and float(np.abs(values).max()) > LARGEST


def _float_inputs(model: onnx.ModelProto, blocked: Collection[str]) -> Mapping[tuple[str, int], onnx.TensorProto]:
    """(node, place) to the constant that has to stay FP32 though its node does not."""
    constants = Graph(model).initializers
    found: dict[tuple[str, int], onnx.TensorProto] = {}
    for node in model.graph.node:
        for place in _FLOAT_INPUTS.get(node.op_type, ()):
            if node.name not in blocked and place < len(node.input) and node.input[place] in constants:
                kept = onnx.TensorProto()
                kept.CopyFrom(constants[node.input[place]])
                found[node.name, place] = kept
    return found


def _restore(graph: onnx.GraphProto, floats: Mapping[tuple[str, int], onnx.TensorProto]) -> None:
    nodes = {node.name: node for node in graph.node}
    for (name, place), tensor in floats.items():
        if place == 1:  # roi is not read unless cropping; its type follows the picture's
            continue
        tensor.name = f"{name}/input_{place}"
        nodes[name].input[place] = tensor.name
        graph.initializer.append(tensor)


def _restore_outputs(graph: onnx.GraphProto, types: Mapping[str, int]) -> None:
    """The converter makes an output FP16 whose node was to stay in FP32, whatever it was told of inputs and outputs."""
    for value in graph.output:
        if value.type.tensor_type.elem_type == types[value.name]:
            continue
        value.type.tensor_type.elem_type = types[value.name]
        for node in graph.node:
            if node.op_type == "Cast" and value.name in node.output:
                node.attribute[0].i = types[value.name]


def _join_casts(graph: onnx.GraphProto) -> None:
    """Let a cast back to FP32 read what was cast to FP16 before, and drop casts that nobody reads any more."""
    casts = {node.output[0]: node for node in graph.node if _casts_to(node, onnx.TensorProto.FLOAT16)}
    for node in graph.node:
        if _casts_to(node, onnx.TensorProto.FLOAT) and node.input[0] in casts:
            node.input[0] = casts[node.input[0]].input[0]
    used = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    kept = [node for node in graph.node if node.op_type != "Cast" or node.output[0] in used]
    del graph.node[:]
    graph.node.extend(kept)


def _casts_to(node: onnx.NodeProto, kind: int) -> bool:
    return node.op_type == "Cast" and any(found.name == "to" and found.i == kind for found in node.attribute)


def _checked(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its types inferred anew; the checker also refuses nodes out of order."""
    del model.graph.value_info[:]
    try:
        onnx.checker.check_model(model, full_check=True)
        return onnx.shape_inference.infer_shapes(model, strict_mode=True)
    except Exception as error:  # its exceptions share no base class
        raise ModelFileError(
            f"the model cannot be written in FP16 ({first_line(error)}); leave fp16 out of the target's precisions"
        ) from error
