"""Which TFLite operators an ONNX node became, and which of them stay in floating point."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import onnx

from contracts.errors import ModelFileError
from converters.fold import PREFIX
from converters.tflite.flatbuffer import Graph, Operator, Tensor
from converters.tflite.graph import Renamed

HEAVY = frozenset(("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "CONV_3D", "FULLY_CONNECTED", "BATCH_MATMUL"))
"""Operators that do the work: convolutions and matrix products."""

_MOVES = frozenset(("RESHAPE", "TRANSPOSE", "SQUEEZE", "EXPAND_DIMS"))
"""Operators that change nothing but the layout."""

_FOLDED = frozenset(("BatchNormalization", "Relu", "Clip", "LeakyRelu"))
"""What onnx2tf moves into the operator before it."""

_HEAVY_NODES = frozenset(("Conv", "ConvTranspose", "Gemm", "MatMul"))


def operators_of(names: Renamed, records: Mapping[str, str], graph: Graph) -> dict[str, tuple[Operator, ...]]:
    """The operators that every named ONNX node became; a node that is in none of them is left out.

    onnx2tf reports what each value became. Where it lost sight of one (a convolution whose activation was moved into
    it), the tensor still bears the node's name. A layout change that it names is followed up to what it moves; and a
    node that does the work must have become an operator that does, if not under its own name, then under that of the
    normalisation or activation behind it, which was folded into it.

    Args:
        names: the model as onnx2tf got it.
        records: plain name of an ONNX value to the TFLite tensor that it became, as onnx2tf reports.
        graph: the float32 file, its ends under the model's own names.
    """
    behind = {one.input[0]: one for one in names.model.graph.node if one.input and one.op_type in _FOLDED}
    found: dict[str, tuple[Operator, ...]] = {}
    for name, node in names.nodes.items():
        operators: list[Operator] = []
        for output in node.outputs:
            candidates = [records.get(output, ""), output, f"{node.plain}_output_nhwc"]
            if node.kind in _HEAVY_NODES:
                candidates += [records.get(later, "") for later in _followed(output, behind)]
            made = (_made(names, graph, candidate) for candidate in candidates)
            if node.kind in _HEAVY_NODES:
                made = (_worked(graph, operator) for operator in made)
            operators += [operator for operator in made if operator][:1]
        if operators:
            found[name] = tuple(operators)
    return found


def _made(names: Renamed, graph: Graph, candidate: str) -> Operator | None:
    return graph.producers.get(names.outputs.get(candidate, candidate))


def _worked(graph: Graph, operator: Operator | None) -> Operator | None:
    """The heavy operator whose result this one moves, or is; None where it is neither."""
    while operator and operator.kind in _MOVES:
        operator = graph.producers.get(operator.inputs[0].name)
    return operator if operator and operator.kind in HEAVY else None


def _followed(value: str, behind: Mapping[str, onnx.NodeProto]) -> Iterator[str]:
    """The values that come of one by what may be folded into its operator."""
    while value in behind:
        value = behind[value].output[0]
        yield value


def kept_tensors(found: Mapping[str, tuple[Operator, ...]], kept_out: Iterable[str], graph: Graph) -> tuple[str, ...]:
    """Names of the tensors whose operators stay in floating point, in the order of the graph.

    These are those of the nodes kept out, with the padding that onnx2tf put before them (in integers it would round
    what they read); those of the preparation; and all behind the last convolutions and matrix products, which cost
    little and join values of different ranges (a detector's boxes and scores).

    Raises:
        ModelFileError: a node that should be kept out is in no operator of the file.
    """
    wanted = tuple(name for name in kept_out if not name.startswith(PREFIX))
    lost = [name for name in wanted if name not in found]
    if lost:
        raise ModelFileError(
            f"cannot keep {', '.join(map(repr, lost))} out of quantisation: TFLite's graph has no operator of its own "
            "for it; name another node"
        )
    preparing = (name for name in found if name.startswith(PREFIX))
    chosen = [operator for name in (*wanted, *preparing) for operator in found[name]]
    chosen += [before for operator in chosen for before in _leading(graph, operator)]
    kept = {tensor.name for operator in (*chosen, *tail(graph)) for tensor in operator.outputs}
    return tuple(tensor.name for operator in graph.operators for tensor in operator.outputs if tensor.name in kept)


def _leading(graph: Graph, operator: Operator) -> Iterator[Operator]:
    """What onnx2tf put between a heavy operator and whatever gives its data: nothing but padding and moves."""
    before = graph.producers.get(_data(operator).name) if operator.kind in HEAVY else None
    while before and before.kind in _MOVES | {"PAD"}:
        yield before
        before = graph.producers.get(before.inputs[0].name)


def _data(operator: Operator) -> Tensor:
    """What a heavy operator works on; TRANSPOSE_CONV takes its output's shape first, then its weights."""
    return operator.inputs[2 if operator.kind == "TRANSPOSE_CONV" else 0]


def tail(graph: Graph) -> list[Operator]:
    """The operators behind the last convolutions and matrix products: nothing that comes of them goes into another."""
    light: list[Operator] = []
    leading: set[str] = set()  # names of tensors that lead to a heavy operator
    for operator in reversed(graph.operators):
        if operator.kind in HEAVY or any(tensor.name in leading for tensor in operator.outputs):
            leading |= {tensor.name for tensor in operator.inputs}
        else:
            light.append(operator)
    return light


def heavy_types(graph: Graph) -> dict[str, tuple[str, str]]:
    """Tensor that each heavy operator makes, to the element types of what it takes and of its weights.

    A type is that of the arithmetic: where a file keeps weights as float16 and a DEQUANTIZE before the operator, the
    operator itself takes float32.
    """
    types: dict[str, tuple[str, str]] = {}
    for operator in graph.operators:
        if operator.kind in HEAVY:
            types[operator.outputs[0].name] = (_data(operator).dtype, operator.inputs[1].dtype)
    return types
