"""The ONNX graph as onnx2tf should see it: names that it leaves alone, and outputs whose layout it keeps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

FINISH = "finish"
INPUT = "input_0"
_LONGEST = 80  # characters of a node's own name that its outputs keep


@dataclass(frozen=True)
class Node:
    """A node under its plain name: that name, its operator type, and the plain names of its outputs."""

    plain: str
    kind: str
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Renamed:
    """A model under plain names, and how to come back.

    Args:
        model: with `INPUT` as its input and ``output_0``, ``output_1``… as its outputs.
        input: the name that the input had.
        outputs: plain name to the name that an output had, in the model's order.
        nodes: name of a node to what it is called now; nodes without a name are left out.
    """

    model: onnx.ModelProto
    input: str
    outputs: Mapping[str, str]
    nodes: Mapping[str, Node]


def renamed(folded: onnx.ModelProto) -> Renamed:
    """A copy of a folded model, ready for onnx2tf.

    onnx2tf replaces characters in names (``/`` first of all) and takes the last transposition off an output, which
    then comes as NHWC. So every value gets a plain name, and every output goes through a flat shape and back: that
    has one meaning in either layout, and costs nothing, for onnx2tf takes the two reshapes out again.
    """
    model = onnx.ModelProto()
    model.CopyFrom(folded)
    graph = model.graph
    names = {graph.input[0].name: INPUT}
    outputs = {f"output_{number}": value.name for number, value in enumerate(graph.output)}
    names |= {name: f"inner_{plain}" for plain, name in outputs.items()}
    nodes = _name_values(graph, names)
    _rename(graph, names)
    del graph.value_info[:]
    for plain in outputs:
        _flatten(graph, plain)
    return Renamed(model, str(folded.graph.input[0].name), outputs, nodes)


def _name_values(graph: onnx.GraphProto, names: dict[str, str]) -> dict[str, Node]:
    """Give every node and value a plain name; a node's own stays readable in those of its outputs."""
    nodes: dict[str, Node] = {}
    for number, tensor in enumerate(graph.initializer):
        names.setdefault(tensor.name, f"w{number}")
    for number, node in enumerate(graph.node):
        readable = re.sub(r"[^A-Za-z0-9]+", "_", node.name or node.op_type).strip("_")[-_LONGEST:]
        for index, output in enumerate(node.output):
            if output:
                names.setdefault(output, f"n{number}_{index}_{readable}")
        plain = f"n{number}_{readable}"
        if node.name:
            outputs = tuple(names[output] for output in node.output if output)
            nodes[node.name] = Node(plain, node.op_type, outputs)
        node.name = plain
    return nodes


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Carry the names through, into the bodies of If and Loop too."""
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        for attribute in node.attribute:
            for body in (attribute.g, *attribute.graphs):
                _rename(body, names)


def _flatten(graph: onnx.GraphProto, plain: str) -> None:
    """Let an output be reshaped to one dimension and back."""
    (value,) = (value for value in graph.output if value.name == f"inner_{plain}")
    shape = [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
    value.name = plain
    prefix = f"{FINISH}_{plain}"
    sizes = {f"{prefix}_flat_shape": [-1], f"{prefix}_shape": shape}
    graph.initializer.extend(numpy_helper.from_array(np.array(size, np.int64), name) for name, size in sizes.items())
    graph.node.extend(
        [
            helper.make_node("Reshape", [f"inner_{plain}", f"{prefix}_flat_shape"], [f"{prefix}_flat"], f"{prefix}_0"),
            helper.make_node("Reshape", [f"{prefix}_flat", f"{prefix}_shape"], [plain], f"{prefix}_1"),
        ]
    )
