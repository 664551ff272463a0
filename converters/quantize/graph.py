"""Looking things up in an ONNX graph, and bringing it into a form in which that is easy."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper, shape_inference

_FIRST_STAGE = "edgetally_first_stage"


def load_named(file: Path) -> onnx.ModelProto:
    """Read an ONNX file that was checked before, and bring it into the form of `normalised`."""
    return normalised(onnx.load(file))


def mark_first_stage(model: onnx.ModelProto) -> None:
    """Have the file itself say that its outputs are no results yet, for whoever quantises it."""
    model.metadata_props.add(key=_FIRST_STAGE, value="1")


def normalised(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which every node has a name of its own, constants are initializers and shapes are inferred.

    Names that were there and differ stay: an exclusion list goes by them.
    """
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    graph = copied.graph
    kept = []
    for node in graph.node:
        tensor = _constant(node)
        if tensor is None:
            kept.append(node)
        else:
            graph.initializer.append(tensor)
    nodes = list(_named(kept))
    del graph.node[:]
    graph.node.extend(nodes)
    return shape_inference.infer_shapes(copied, data_prop=True)


def _constant(node: onnx.NodeProto) -> onnx.TensorProto | None:
    if node.op_type != "Constant" or not node.attribute or node.attribute[0].name != "value":
        return None
    tensor = onnx.TensorProto()
    tensor.CopyFrom(node.attribute[0].t)
    tensor.name = node.output[0]
    return tensor


def _named(nodes: Collection[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    taken: set[str] = set()
    for number, node in enumerate(nodes):
        if not node.name or node.name in taken:
            node.name = f"{node.op_type}_{number}_{node.output[0]}"
        taken.add(node.name)
        yield node


@dataclass(frozen=True)
class Graph:
    """Lookups in a `normalised` model, made when they are first asked for; the model must not change meanwhile."""

    model: onnx.ModelProto

    @property
    def nodes(self) -> list[onnx.NodeProto]:
        """The nodes in order."""
        return list(self.model.graph.node)

    @cached_property
    def initializers(self) -> Mapping[str, onnx.TensorProto]:
        """Constant tensors by name."""
        return {tensor.name: tensor for tensor in self.model.graph.initializer}

    @cached_property
    def producers(self) -> Mapping[str, onnx.NodeProto]:
        """Tensor to the node that gives it."""
        return {name: node for node in self.nodes for name in node.output if name}

    @cached_property
    def consumers(self) -> Mapping[str, list[onnx.NodeProto]]:
        """Tensor to the nodes that take it."""
        found: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.input):
                found.setdefault(name, []).append(node)
        return found

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """Names of the graph's outputs."""
        return tuple(value.name for value in self.model.graph.output)

    @property
    def is_first_stage(self) -> bool:
        """Whether another stage takes the outputs (`mark_first_stage`)."""
        return any(entry.key == _FIRST_STAGE for entry in self.model.metadata_props)

    @cached_property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Tensor to its shape, where all of it is known."""
        return {value.name: shape for value in self._values() if (shape := _static(value)) is not None}

    @cached_property
    def floats(self) -> frozenset[str]:
        """Names of the tensors, inputs and outputs included, that hold float32."""
        kind = onnx.TensorProto.FLOAT
        return frozenset(value.name for value in self._values() if value.type.tensor_type.elem_type == kind)

    def weights(self, name: str) -> NDArray[np.float32] | None:
        """A constant of float32, or None where the name is not one."""
        tensor = self.initializers.get(name)
        if tensor is None or tensor.data_type != onnx.TensorProto.FLOAT:
            return None
        return numpy_helper.to_array(tensor).astype(np.float32)

    def _values(self) -> Iterator[onnx.ValueInfoProto]:
        graph = self.model.graph
        yield from (*graph.input, *graph.value_info, *graph.output)


def attribute(node: onnx.NodeProto, name: str, default: int) -> int:
    """A node's integer attribute."""
    return next((int(found.i) for found in node.attribute if found.name == name), default)


def _static(value: onnx.ValueInfoProto) -> tuple[int, ...] | None:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape") or not all(size.HasField("dim_value") for size in tensor.shape.dim):
        return None
    return tuple(int(size.dim_value) for size in tensor.shape.dim)
