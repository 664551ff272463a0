"""Putting the preparation of the picture into the graph: uint8 NHWC BGR in, nothing left for the host but the resize.

In this order, because planes of bytes move four times less memory than planes of floats: layout, colour order, cast,
then ``(x - mean) / std``. Steps that change nothing are left out. Every node's name begins with `PREFIX`, so that a
quantiser can keep them as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from contracts.model_spec import InputSpec

PREFIX = "edgetally_prepare"
BGR_TO_GRAY = (0.114, 0.587, 0.299)  # ITU-R BT.601 luma, in the order blue, green, red


def fold(model: onnx.ModelProto, spec: InputSpec) -> onnx.ModelProto:
    """A copy of the model that takes uint8 ``(1, height, width, 3)`` BGR under the same input name.

    Args:
        model: one float32 input ``(1, channels, height, width)``, as `converters.read.read_onnx` gives it.
        spec: what model.toml says of the input.
    """
    folded = onnx.ModelProto()
    folded.CopyFrom(model)
    graph = folded.graph
    name = str(graph.input[0].name)
    steps = _Steps(name)
    _add_steps(steps, spec)
    _rename(graph, name, steps.last)
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend([*steps.nodes, *nodes])
    graph.initializer.extend(steps.constants)
    shape = (1, spec.height, spec.width, 3)
    graph.input[0].CopyFrom(helper.make_tensor_value_info(name, onnx.TensorProto.UINT8, shape))
    return folded


class _Steps:
    """A chain of nodes, each taking what the one before gave."""

    def __init__(self, first: str) -> None:
        self.last = first
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, operator: str, constant: NDArray[np.generic] | None = None, **attributes: int | list[int]) -> None:
        name = f"{PREFIX}/{len(self.nodes)}_{operator.lower()}"
        inputs = [self.last]
        if constant is not None:
            self.constants.append(numpy_helper.from_array(constant, f"{name}/constant"))
            inputs.append(f"{name}/constant")
        self.nodes.append(_node(operator, inputs, name, attributes))
        self.last = f"{name}/output"


def _node(operator: str, inputs: list[str], name: str, attributes: Mapping[str, int | list[int]]) -> onnx.NodeProto:
    node = helper.make_node(operator, inputs, [f"{name}/output"], name=name)
    node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
    return node


def _add_steps(steps: _Steps, spec: InputSpec) -> None:
    steps.add("Transpose", perm=[0, 3, 1, 2])
    if spec.color == "rgb":
        steps.add("Gather", np.array([2, 1, 0], np.int64), axis=1)
    steps.add("Cast", to=onnx.TensorProto.FLOAT)
    if spec.color == "gray":
        steps.add("Conv", np.array(BGR_TO_GRAY, np.float32).reshape(1, 3, 1, 1))
    if any(spec.mean):
        steps.add("Sub", _by_channel(spec.mean))
    if any(value != 1.0 for value in spec.std):
        steps.add("Div", _by_channel(spec.std))


def _by_channel(values: Sequence[float]) -> NDArray[np.float32]:
    return np.array(values, np.float32).reshape(1, -1, 1, 1)


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Let everything that reads ``old`` read ``new``, in the bodies of If and Loop too."""
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name == old:
                node.input[index] = new
        for attribute in node.attribute:
            for body in (attribute.g, *attribute.graphs):
                _rename(body, old, new)
