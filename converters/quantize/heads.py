"""What is kept out of quantisation together: a network's last layers, and what stands behind a layer."""

from __future__ import annotations

from collections.abc import Collection

from converters.quantize.graph import Graph

COMPUTE = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})

_ELEMENTWISE = frozenset(
    (
        *("Add", "BatchNormalization", "Celu", "Clip", "Div", "Elu", "Erf", "Gelu", "HardSigmoid", "HardSwish"),
        *("LeakyRelu", "Mish", "Mul", "PRelu", "Pow", "Relu", "Selu", "Sigmoid", "Softplus", "Sub", "Tanh"),
    )
)


def head_layers(graph: Graph) -> tuple[str, ...]:
    """Names of the last convolutions or products before each output.

    A density's count is the sum of some ten thousand pixels, so that a shift of the last layer's output too small to
    see is a systematic error of the count. A detector's scores and offsets have ranges of their own, which one scale
    for their concatenation would flatten. They cost little, and stay out of INT8. What a first stage hands on is
    neither, and its last layers may be its largest.
    """
    if graph.is_first_stage:
        return ()
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


def ends(graph: Graph) -> tuple[str, ...]:
    """Names of the last layers before the outputs and of everything behind them, in the order of the graph.

    Eight bits for a whole density's range round every count, and a detector's boxes and scores share one tensor there.
    """
    names, tensors = set(head_layers(graph)), set[str]()
    for node in graph.nodes:
        if node.name in names or tensors.intersection(node.input):
            names.add(node.name)
            tensors.update(node.output)
    return tuple(node.name for node in graph.nodes if node.name in names)


def with_activations(graph: Graph, layers: Collection[str]) -> tuple[str, ...]:
    """The layers and the activation behind each, in the order of the graph.

    What quantises a layer's result quantises it before and behind its activation: keeping out the layer alone leaves
    both roundings where they were. An activation is what works on single values and takes nothing but what the layers
    give (a Sigmoid and the Mul by it are one together).
    """
    names, tensors = set(layers), set[str]()
    for node in graph.nodes:
        taken = [name for name in node.input if name and name not in graph.initializers]
        if node.op_type in _ELEMENTWISE and taken and tensors.issuperset(taken):
            names.add(node.name)
        if node.name in names:
            tensors.update(node.output)
    return tuple(node.name for node in graph.nodes if node.name in names)
