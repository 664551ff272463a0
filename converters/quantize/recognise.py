"""Is an ONNX quantised already (by training with quantisation in mind, or by another tool), and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx
from onnx import numpy_helper

from converters.quantize.graph import Graph, normalised

Kind = Literal["none", "qdq-symmetric", "qdq-other", "qoperator", "dynamic"]
"""``qdq-symmetric`` is what TensorRT takes; ``qdq-other`` has zero points, uint8 or quantised biases; ``qoperator``
holds QLinearConv and its like; ``dynamic`` finds ranges while it runs (ConvInteger, MatMulInteger)."""

_DYNAMIC = {"DynamicQuantizeLinear", "ConvInteger", "MatMulInteger", "DynamicQuantizeMatMul"}
_INT8 = onnx.TensorProto.INT8


@dataclass(frozen=True)
class Quantised:
    """How a model is quantised.

    Args:
        kind: see `Kind`.
        nodes: how many nodes quantise, dequantise or compute in integers.
        problem: the first thing that keeps NVIDIA's parser from taking it, as a sentence; empty where nothing does.
    """

    kind: Kind
    nodes: int
    problem: str = ""


def recognise(model: onnx.ModelProto) -> Quantised:
    """Look for quantisation in a model."""
    graph = Graph(normalised(model))
    dynamic = [node for node in graph.nodes if node.op_type in _DYNAMIC]
    if dynamic:
        return Quantised("dynamic", len(dynamic), _whole(dynamic[0], "finds its ranges while it runs"))
    operators = [node for node in graph.nodes if node.op_type.startswith("QLinear")]
    if operators:
        return Quantised("qoperator", len(operators), _whole(operators[0], "is quantised in the operator itself"))
    pairs = [node for node in graph.nodes if node.op_type in {"QuantizeLinear", "DequantizeLinear"}]
    if not pairs:
        return Quantised("none", 0)
    problem = next((found for node in pairs if (found := _problem(graph, node))), "")
    return Quantised("qdq-other" if problem else "qdq-symmetric", len(pairs), problem)


def refusal(model: onnx.ModelProto, generation: str) -> str | None:
    """Why NVIDIA's parser refuses a quantised model, or None where it takes it or it is not quantised.

    Args:
        model: the model.
        generation: the TensorRT it is for, for the sentence; the rules are the same from 8.0 to 11 (``x_zero_point``
            and ``y_zero_point`` must be zero, no int32: operators.md of onnx-tensorrt).
    """
    found = recognise(model)
    if not found.problem:
        return None
    return f"TensorRT {generation} takes symmetric int8 Q/DQ only: {found.problem}"


def _whole(node: onnx.NodeProto, what: str) -> str:
    return (
        f"node {node.name!r} ({node.op_type}) {what}; export the float model, or quantise it with Q/DQ pairs "
        "(quant_format=QDQ)"
    )


def _problem(graph: Graph, node: onnx.NodeProto) -> str:
    kind = graph.initializers[node.input[0]].data_type if node.input[0] in graph.initializers else None
    if node.op_type == "DequantizeLinear" and kind == onnx.TensorProto.INT32:
        return (
            f"bias {node.input[0]!r} is dequantised from int32, which it has no type for; "
            "quantise again with QuantizeBias=False, or give the float model"
        )
    has_zero = len(node.input) > 2 and bool(node.input[2])  # noqa: PLR2004 - x, scale, zero point
    if not has_zero:
        return "" if _type_without_zero(graph, node) == _INT8 else _unsigned(node)
    zero = graph.initializers.get(node.input[2])
    if zero is None:
        return f"node {node.name!r} computes its zero point {node.input[2]!r}; give it as a constant"
    if np.any(numpy_helper.to_array(zero)):
        return (
            f"the zero point {node.input[2]!r} of node {node.name!r} is not 0; quantise again with "
            "ActivationSymmetric=True and WeightSymmetric=True, or give the float model"
        )
    return "" if zero.data_type == _INT8 else _unsigned(node)


def _type_without_zero(graph: Graph, node: onnx.NodeProto) -> int:
    """The integer type where no zero point tells it: QuantizeLinear's ``output_dtype`` or else uint8; a constant's."""
    if node.op_type == "DequantizeLinear":
        tensor = graph.initializers.get(node.input[0])
        if tensor is not None:
            return int(tensor.data_type)
        giver = graph.producers.get(node.input[0])
        return _INT8 if giver is None else _type_of(graph, giver)
    return next((int(a.i) for a in node.attribute if a.name == "output_dtype"), onnx.TensorProto.UINT8)


def _type_of(graph: Graph, node: onnx.NodeProto) -> int:
    if node.op_type != "QuantizeLinear":
        return _INT8
    if len(node.input) > 2 and node.input[2] in graph.initializers:  # noqa: PLR2004 - x, scale, zero point
        return int(graph.initializers[node.input[2]].data_type)
    return _type_without_zero(graph, node)


def _unsigned(node: onnx.NodeProto) -> str:
    return (
        f"node {node.name!r} quantises to another type than int8; quantise again with activation_type=QInt8 and "
        "weight_type=QInt8, or give the float model"
    )
