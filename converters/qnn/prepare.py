"""The preparation of the picture in forms that HTP takes whole, uint8 NHWC in. Pure.

HTP refuses Transpose and Gather of plain bytes, and its processors without floating point refuse a Sub and Div that are
not quantised. So bytes become a quantised tensor at once (scale 1, zero point 0: exact). Where the rest is quantised
too, colour, mean and deviation become one 1x1 convolution: its weights have one scale an output channel and its bias
32 bits, so that of it only the output is rounded. As Sub and Div with 8-bit constants, ImageNet's means would be off
by up to a quarter of a grey level.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from contracts.model_spec import InputSpec
from converters.fold import BGR_TO_GRAY, PREFIX

_TO_NCHW = [0, 3, 1, 2]
_PIXEL = (0.0, 255.0)


def float_graph(folded: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a folded model whose bytes are made floats first, by a DequantizeLinear; for HTP's FP16."""
    model = _copy(folded)
    graph = model.graph
    image = graph.input[0].name
    dequantised = f"{PREFIX}/dequantise/output"
    for node in [node for node in graph.node if node.name.startswith(PREFIX)]:
        if node.op_type == "Cast":
            _rename_input(graph, node.output[0], node.input[0])
            graph.node.remove(node)
    _rename_input(graph, image, dequantised)
    scale, zero = f"{PREFIX}/dequantise/scale", f"{PREFIX}/dequantise/zero"
    graph.initializer.append(numpy_helper.from_array(np.array(1, np.float32), scale))
    graph.initializer.append(numpy_helper.from_array(np.array(0, np.uint8), zero))
    first = helper.make_node("DequantizeLinear", [image, scale, zero], [dequantised], name=f"{PREFIX}/dequantise")
    _prepend(graph, [first])
    return model


def quantisable_graph(folded: onnx.ModelProto, spec: InputSpec) -> onnx.ModelProto:
    """A copy of a folded model whose preparation is Cast, Transpose and at most one more node, all quantisable."""
    model = _copy(folded)
    graph = model.graph
    image = graph.input[0].name
    old = [node for node in graph.node if node.name.startswith(PREFIX)]
    last = old[-1].output[0]
    for node in old:
        graph.node.remove(node)
    constants = [tensor for tensor in graph.initializer if not tensor.name.startswith(PREFIX)]
    del graph.initializer[:]
    graph.initializer.extend(constants)
    cast = helper.make_node("Cast", [image], [f"{PREFIX}/float"], name=f"{PREFIX}/cast", to=TensorProto.FLOAT)
    planes = last if _is_plain(spec) and spec.color == "bgr" else f"{PREFIX}/planes"
    transpose = helper.make_node("Transpose", [cast.output[0]], [planes], name=f"{PREFIX}/transpose", perm=_TO_NCHW)
    nodes = [cast, transpose]
    if planes != last:
        nodes.append(_colour(graph, planes, last, spec))
    _prepend(graph, nodes)
    return model


def with_float_input(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a `quantisable_graph` that takes the picture as floats, as ONNX Runtime's quantiser wants it."""
    copied = _copy(model)
    graph = copied.graph
    (cast,) = [node for node in graph.node if node.name == f"{PREFIX}/cast"]
    graph.node.remove(cast)
    _rename_input(graph, cast.output[0], cast.input[0])
    graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT
    return copied


def with_byte_input(quantised: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a quantised model without the QuantizeLinear behind its input, which takes bytes instead."""
    copied = _copy(quantised)
    graph = copied.graph
    image = graph.input[0].name
    for node in [node for node in graph.node if image in node.input]:
        if node.op_type != "QuantizeLinear":
            raise ValueError(
                f"expected the picture to be quantised first, {node.name!r} ({node.op_type}) takes it as it is"
            )
        graph.node.remove(node)
        _rename_input(graph, node.output[0], image)
    graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    return copied


def prepared_range(spec: InputSpec) -> tuple[float, float]:
    """The lowest and highest value that preparation can give."""
    channels = 1 if spec.color == "gray" else 3
    mean, std = (_by_channel(values, channels) for values in (spec.mean, spec.std))
    ends = [(pixel - mean) / std for pixel in _PIXEL]
    return float(np.min(ends)), float(np.max(ends))


def _colour(graph: onnx.GraphProto, source: str, target: str, spec: InputSpec) -> onnx.NodeProto:
    if _is_plain(spec) and spec.color == "rgb":
        graph.initializer.append(numpy_helper.from_array(np.array([2, 1, 0], np.int64), f"{PREFIX}/order"))
        return helper.make_node("Gather", [source, f"{PREFIX}/order"], [target], name=f"{PREFIX}/gather", axis=1)
    weights, bias = _affine(spec)
    graph.initializer.append(numpy_helper.from_array(weights, f"{PREFIX}/weights"))
    graph.initializer.append(numpy_helper.from_array(bias, f"{PREFIX}/bias"))
    inputs = [source, f"{PREFIX}/weights", f"{PREFIX}/bias"]
    return helper.make_node("Conv", inputs, [target], name=f"{PREFIX}/conv", kernel_shape=[1, 1])


def _affine(spec: InputSpec) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights ``(channels, 3, 1, 1)`` and bias ``(channels,)`` from BGR to what the network takes."""
    rows = {"bgr": np.eye(3), "rgb": np.eye(3)[::-1], "gray": np.array([BGR_TO_GRAY])}[spec.color]
    mean, std = (_by_channel(values, len(rows)) for values in (spec.mean, spec.std))
    weights = (rows / std[:, np.newaxis]).reshape(-1, 3, 1, 1)
    return weights.astype(np.float32), (-mean / std).astype(np.float32)


def _is_plain(spec: InputSpec) -> bool:
    """Whether preparation changes no value."""
    return spec.color != "gray" and not any(spec.mean) and all(value == 1.0 for value in spec.std)


def _by_channel(values: Sequence[float], channels: int) -> NDArray[np.float64]:
    return np.broadcast_to(np.array(values, np.float64), (channels,))


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    del copied.graph.value_info[:]  # of tensors that change their type; they are inferred anew
    return copied


def _rename_input(graph: onnx.GraphProto, old: str, new: str) -> None:
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name == old:
                node.input[index] = new


def _prepend(graph: onnx.GraphProto, first: Sequence[onnx.NodeProto]) -> None:
    nodes = [*first, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
