"""Q/DQ pairs where TensorRT fuses them: explicit INT8 quantisation of convolutional networks.

What is done, after NVIDIA's "Q/DQ Layer-Placement Recommendations" (TensorRT Developer Guide, "Working with Quantized
Types") and "Explicit Quantization":

* inputs and weights of Conv, ConvTranspose, Gemm and MatMul with constant weights are quantised; their outputs and
  biases never (a bias dequantised from int32 is refused by the parser; outputs are quantised by whoever takes them);
* of a residual Add, the input that does not come straight from a quantised layer: then the layer, the addition and the
  activation after it fuse into one int8 kernel. Where no quantised layer ends in it, it stays in float;
* MaxPool, Concat, Transpose, Reshape and Slice need nothing: TensorRT moves the Q behind them to before them;
* what stays in float: the preparation of the picture, everything that multiplies or saturates (squeeze-and-excite,
  Sigmoid, HardSwish), Resize, average pooling, layers on 1x1 maps (squeeze-and-excite again: no time to win, accuracy
  to lose), and the last layers before the outputs, whose rounding would be counted as things.

All scales are symmetric, zero points are 0, activations have one scale a tensor, weights one an output channel. Scales
are rounded up to what FP16 holds, so that the same numbers stand in a model that is FP16 otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from converters.fold import PREFIX
from converters.quantize.graph import Graph, attribute, normalised
from converters.quantize.heads import head_layers
from converters.quantize.opset import at_opset
from converters.quantize.ranges import Ranges
from converters.read import opset

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
MIN_OPSET = 13  # the first with per-channel QuantizeLinear
LEVELS = 127  # int8 without -128, so that it is symmetric
_SMALLEST_SCALE = 2.0**-24  # the smallest that FP16 holds
_PIXEL = (1, 1)


def quantised_nodes(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the layers that may be quantised, in the order of the graph.

    Args:
        model: a folded model; unnamed nodes get the names that `converters.quantize.graph.normalised` gives them.
    """
    graph = Graph(normalised(model))
    last = head_layers(graph)
    return tuple(node.name for node in graph.nodes if node.name not in last and _is_candidate(graph, node))


def residual_adds(graph: Graph, quantised: Collection[str]) -> Mapping[str, str]:
    """Names of additions to the input that is to be quantised so that they fuse with the layer before them.

    Args:
        graph: of a `normalised` model.
        quantised: names of the layers that are.
    """
    found: dict[str, str] = {}
    for node in graph.nodes:
        if node.op_type != "Add" or len(set(node.input)) != 2 or any(name in graph.initializers for name in node.input):  # noqa: PLR2004
            continue
        straight = [name for name in node.input if _ends_in(graph, name, quantised)]
        if straight and len({graph.shapes.get(name) for name in node.input}) == 1:
            (other,) = (name for name in node.input if name != straight[0])
            found[node.name] = other
    return found


def insert_qdq(
    model: onnx.ModelProto,
    ranges: Ranges,
    *,
    kept_out: Collection[str] = (),
    only: Collection[str] | None = None,
    rounded: Collection[str] = (),
    integer_weights: bool = False,
) -> onnx.ModelProto:
    """A quantised copy of a model.

    Args:
        model: a folded float model; below opset 13 it is converted to it.
        ranges: tensor to its lowest and highest value (`converters.quantize.ranges.tensor_ranges`).
        kept_out: names of nodes, layers or additions, that stay in float.
        only: of the nodes that could be quantised, only these; None for all.
        rounded: tensors that whoever takes them takes quantised, as runtimes do that compute in integers throughout.
        integer_weights: weights stand as int8 with a DequantizeLinear (a quarter of the size; TensorRT 10 and later)
            instead of as float with a Q/DQ pair (all that TensorRT 8 reads).

    Raises:
        ValueError: a tensor that is to be quantised has no range.
    """
    source = normalised(model if opset(model) >= MIN_OPSET else at_opset(normalised(model), MIN_OPSET))
    graph = Graph(source)
    layers = [name for name in quantised_nodes(source) if _taken(name, kept_out, only)]
    adds = {name: tensor for name, tensor in residual_adds(graph, layers).items() if _taken(name, kept_out, only)}
    placing = _Placing(graph, ranges, frozenset(rounded), integer_weights=integer_weights)
    for node in graph.nodes:
        placing.add(node, is_layer=node.name in layers, residual=adds.get(node.name))
    result = onnx.ModelProto()
    result.CopyFrom(source)
    del result.graph.node[:]
    result.graph.node.extend(placing.nodes)
    result.graph.initializer.extend(placing.constants)
    _drop_unused(result.graph)
    return result


def weight_axis(node: onnx.NodeProto, rank: int) -> int | None:
    """The axis of a layer's weights that counts its output channels; None where one scale has to do for all."""
    if node.op_type == "Conv":
        return 0
    if node.op_type == "ConvTranspose":  # (in, out / group, ...): with groups, channels share places on that axis
        return 1 if attribute(node, "group", 1) == 1 else None
    if node.op_type == "Gemm":
        return 0 if attribute(node, "transB", 0) else 1
    return 1 if rank == 2 else None  # noqa: PLR2004 - MatMul of (in, out)


def weight_scales(weights: NDArray[np.float32], axis: int | None) -> NDArray[np.float32]:
    """The symmetric int8 scales of weights: ``()`` where the axis is None, else one a place on it."""
    others = tuple(number for number in range(weights.ndim) if number != axis)
    largest = np.abs(weights).max(axis=others) if axis is not None else np.abs(weights).max(initial=0.0)
    return scales_of(np.asarray(largest, np.float32))


def scales_of(largest: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scales by which no absolute value up to ``largest`` is clipped; 1 where there is nothing but 0."""
    exact = largest.astype(np.float64) / LEVELS
    half = np.float16(np.clip(exact, _SMALLEST_SCALE, np.finfo(np.float16).max))
    up = np.where(half < exact, np.nextafter(half, np.float16(np.inf)), half).astype(np.float32)
    # Beyond FP16 altogether: kept exact, for such a model stays in float there.
    up = np.where(np.isfinite(up), up, exact.astype(np.float32))
    scales: NDArray[np.float32] = np.where(largest > 0, up, np.float32(1.0)).astype(np.float32)
    return scales


def quantise(values: NDArray[np.float32], scales: NDArray[np.float32], axis: int | None) -> NDArray[np.int8]:
    """Values as int8, rounded half to even as QuantizeLinear does."""
    shape = [1] * values.ndim
    if axis is not None:
        shape[axis] = -1
    rounded: NDArray[np.int8] = np.clip(np.rint(values / scales.reshape(shape)), -LEVELS - 1, LEVELS).astype(np.int8)
    return rounded


def _taken(name: str, kept_out: Collection[str], only: Collection[str] | None) -> bool:
    return name not in kept_out and (only is None or name in only)


def _is_candidate(graph: Graph, node: onnx.NodeProto) -> bool:
    if node.op_type not in WEIGHTED or node.name.startswith(PREFIX) or node.input[0] in graph.initializers:
        return False
    weights = graph.initializers.get(node.input[1])
    if weights is None or weights.data_type != onnx.TensorProto.FLOAT or node.input[0] not in graph.floats:
        return False
    shape = graph.shapes.get(node.input[0], ())
    return node.op_type not in {"Conv", "ConvTranspose"} or tuple(shape[2:]) != _PIXEL


def _ends_in(graph: Graph, tensor: str, quantised: Collection[str]) -> bool:
    """Whether a quantised layer gives the tensor and nobody else takes it."""
    node = graph.producers.get(tensor)
    alone = len(graph.consumers.get(tensor, ())) == 1 and tensor not in graph.outputs
    return node is not None and node.name in quantised and alone


@dataclass
class _Placing:
    """Nodes in their order, with Q/DQ pairs put before the first that takes them."""

    graph: Graph
    ranges: Ranges
    rounded: frozenset[str]
    integer_weights: bool
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    _made: dict[tuple[str, int | None], str] = field(default_factory=dict)

    def add(self, node: onnx.NodeProto, *, is_layer: bool, residual: str | None) -> None:
        """Take a node over, with its inputs quantised where they shall be."""
        copied = onnx.NodeProto()
        copied.CopyFrom(node)
        for index, name in enumerate(node.input):
            if name in self.rounded:
                copied.input[index] = self._activation(name)
        if is_layer:
            copied.input[0] = self._activation(node.input[0])
            copied.input[1] = self._weight(node)
        if residual is not None:
            copied.input[list(node.input).index(residual)] = self._activation(residual)
        self.nodes.append(copied)

    def _activation(self, tensor: str) -> str:
        key = (tensor, None)
        if key not in self._made:
            if tensor not in self.ranges:
                raise ValueError(f"tensor {tensor!r} is to be quantised, expected a range for it, there is none")
            low, high = self.ranges[tensor]
            scale = scales_of(np.asarray(max(-low, high, 0.0), np.float32))
            self._made[key] = self._pair(tensor, scale, None)
        return self._made[key]

    def _weight(self, node: onnx.NodeProto) -> str:
        name = node.input[1]
        weights = self.graph.weights(name)
        assert weights is not None  # `_is_candidate` saw to it
        axis = weight_axis(node, weights.ndim)
        key = (name, -1 if axis is None else axis)
        if key not in self._made:
            scales = weight_scales(weights, axis)
            self._made[key] = (
                self._integers(name, quantise(weights, scales, axis), scales, axis)
                if self.integer_weights
                else self._pair(name, scales, axis)
            )
        return self._made[key]

    def _pair(self, tensor: str, scales: NDArray[np.float32], axis: int | None) -> str:
        base = _base(tensor, axis)
        parameters = self._parameters(base, scales)
        self.nodes.append(_node("QuantizeLinear", [tensor, *parameters], f"{base}/int8", f"{base}/quantize", axis))
        return self._dequantise(base, parameters, axis)

    def _integers(self, tensor: str, values: NDArray[np.int8], scales: NDArray[np.float32], axis: int | None) -> str:
        base = _base(tensor, axis)
        self.constants.append(numpy_helper.from_array(values, f"{base}/int8"))
        return self._dequantise(base, self._parameters(base, scales), axis)

    def _dequantise(self, base: str, parameters: list[str], axis: int | None) -> str:
        inputs = [f"{base}/int8", *parameters]
        self.nodes.append(_node("DequantizeLinear", inputs, f"{base}/real", f"{base}/dequantize", axis))
        return f"{base}/real"

    def _parameters(self, base: str, scales: NDArray[np.float32]) -> list[str]:
        self.constants.append(numpy_helper.from_array(scales, f"{base}/scale"))
        self.constants.append(numpy_helper.from_array(np.zeros(scales.shape, np.int8), f"{base}/zero"))
        return [f"{base}/scale", f"{base}/zero"]


def _base(tensor: str, axis: int | None) -> str:
    """What the names of a tensor's pair begin with; not with the tensor's own name, which may be the preparation's."""
    return f"qdq/{tensor}" if axis is None else f"qdq{axis}/{tensor}"


def _node(operator: str, inputs: list[str], output: str, name: str, axis: int | None) -> onnx.NodeProto:
    node = helper.make_node(operator, inputs, [output], name=name)
    if axis is not None:
        node.attribute.append(helper.make_attribute("axis", axis))
    return node


def _drop_unused(graph: onnx.GraphProto) -> None:
    """Weights that now stand as integers."""
    used = set(_taken_names(graph))
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _taken_names(graph: onnx.GraphProto) -> Iterator[str]:
    yield from (value.name for value in graph.output)
    for node in graph.node:
        yield from node.input
        for found in node.attribute:
            for body in (found.g, *found.graphs):
                yield from _taken_names(body)
