"""The layers that a network's outputs come out of."""

from __future__ import annotations

from converters.quantize.graph import Graph

COMPUTE = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})


def head_layers(graph: Graph) -> tuple[str, ...]:
    """Names of the last convolutions or products before each output.

    A density's count is the sum of some ten thousand pixels, so that a shift of the last layer's output too small to
    see is a systematic error of the count. A detector's scores and offsets have ranges of their own, which one scale
    for their concatenation would flatten. They cost little, and stay out of INT8.
    """
    found: dict[str, None] = {}
    waiting, seen = list(graph.outputs), set[str]()
    while waiting:
        tensor = waiting.pop()
        node = graph.producers.get(tensor)
        if node is None or tensor in seen:
            continue
        seen.add(tensor)
        if node.op_type in COMPUTE:
            found[node.name] = None
        else:
            waiting += node.input
    return tuple(found)
