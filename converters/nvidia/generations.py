"""What each generation of TensorRT takes, as data, and the check of an ONNX against it.

TensorRT for RTX is asked too (`converters.nvidia.parser`), but its parser is newer than a Jetson's: what an old one
does not know is known here from its documentation. Sources: "Supported ONNX Operators" (docs/operators.md of
onnx/onnx-tensorrt at 8.4 and 8.5: opset 13 until 8.4, 17 from 8.5), its changelog (UINT8 inputs from 8.5; operators
added in 8.5 and 8.6), NVIDIA/TensorRT issue 3985 (a UINT8 input has to go straight into a Cast), the developer guide's
"Explicit Quantization" (weights in int8 are read from 10 on; before, FP32 with a Q/DQ pair) and the migration guide
from 10.x to 11.x (no weak typing in 11).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import onnx

from contracts.documents import WrittenModel, read_document
from contracts.engine_recipe import Generation
from contracts.errors import ModelFileError
from contracts.facts import Requirement
from converters.quantize.graph import Graph, normalised
from converters.quantize.recognise import refusal
from converters.read import MAX_OPSET, opset

_SINCE_8_6 = {"GroupNormalization", "LayerNormalization", "IsInf"}
_SINCE_8_5 = {
    *("RandomNormal", "RandomNormalLike", "MeanVarianceNormalization", "RoiAlign", "Mod", "Trilu", "GridSample"),
    *("NonZero", "OneHot", "Shrink", "Xor"),
}
_NEVER_IN_8 = {
    *("BitShift", "Compress", "ConvInteger", "Det", "DynamicQuantizeLinear", "Hardmax", "MatMulInteger", "MaxRoiPool"),
    *("MaxUnpool", "Multinomial", "QLinearConv", "QLinearMatMul", "StringNormalizer", "TfIdfVectorizer", "Unique"),
    *("ConcatFromSequence", "SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert"),
    *("SequenceLength", "SplitToSequence", "NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"),
}


@dataclass(frozen=True)
class Rules:
    """One generation.

    Args:
        at_least: the first version of TensorRT.
        below: the first that is of the next.
        max_opset: what its parser reads.
        strongly_typed: whether the types are to stand in the ONNX.
        takes_uint8: whether an input may be uint8 (straight into a Cast).
        integer_weights: whether weights may stand as int8.
        has_optimization_level: whether its builder has one.
        unknown: operators that its parser has not; those of the detectors' insides that matter, not all of ONNX.
        no_int8: why it is not quantised for; empty where it is.
    """

    at_least: str
    below: str
    max_opset: int
    strongly_typed: bool = False
    takes_uint8: bool = True
    integer_weights: bool = False
    has_optimization_level: bool = True
    unknown: frozenset[str] = frozenset()
    no_int8: str = ""

    @property
    def requires(self) -> tuple[Requirement, ...]:
        """What ``runtime.tensorrt`` has to be."""
        return (Requirement(fact="runtime.tensorrt", at_least=self.at_least, below=self.below),)


GENERATIONS: Mapping[Generation, Rules] = {
    "8.2": Rules(
        "8.2",
        "8.5",
        max_opset=13,
        takes_uint8=False,
        has_optimization_level=False,
        unknown=frozenset(_NEVER_IN_8 | _SINCE_8_5 | _SINCE_8_6),
        no_int8="the Jetson Nano (compute capability 5.3), for which it is, has no int8 arithmetic; take fp16",
    ),
    "8.5": Rules(
        "8.5",
        "8.6",
        max_opset=17,
        has_optimization_level=False,
        unknown=frozenset(_NEVER_IN_8 | _SINCE_8_6),
    ),
    "8.6": Rules("8.6", "10.0", max_opset=17, unknown=frozenset(_NEVER_IN_8)),
    "10.3": Rules("10.3", "10.13", max_opset=17),
    "10.13": Rules("10.13", "11.0", max_opset=MAX_OPSET, strongly_typed=True, integer_weights=True),
    "11": Rules("11.0", "12.0", max_opset=MAX_OPSET, strongly_typed=True, integer_weights=True),
}


class Options(WrittenModel):
    """What a target of TensorRT or DeepStream may set.

    Attributes:
        generation: of TensorRT.
        placement: who places the Q/DQ pairs of int8: ``edgetally`` (`converters.quantize.placement`), or NVIDIA's
            ``modelopt``, which has to be installed.
    """

    generation: Generation
    placement: Literal["edgetally", "modelopt"] = "edgetally"


def options_of(options: Mapping[str, str], where: str) -> Options:
    """A target's options.

    Raises:
        DocumentError: one is missing, unknown, or has another value.
    """
    return read_document(Options, options, where)


def generation_of(options: Mapping[str, str], where: str) -> Generation:
    """The generation that a target's options name; see `options_of`."""
    return options_of(options, where).generation


def check_rules(model: onnx.ModelProto, generation: Generation, name: str) -> None:
    """See that a generation's parser can take an ONNX, as far as its documentation says.

    Args:
        model: as it is to be shipped.
        generation: for which.
        name: the model, for the error's text.

    Raises:
        ModelFileError: it cannot; the node and the rule are named.
    """
    problem = next(_problems(model, generation), None)
    if problem:
        raise ModelFileError(f"{name}: TensorRT {generation} does not take it: {problem}")


def _problems(model: onnx.ModelProto, generation: Generation) -> Iterator[str]:
    rules, graph = GENERATIONS[generation], Graph(normalised(model))
    if opset(model) > rules.max_opset:
        yield f"expected opset {rules.max_opset} at most, got {opset(model)}; export it with that"
    for node in graph.nodes:
        if node.op_type in rules.unknown or node.domain not in {"", "ai.onnx"}:
            yield f"node {node.name!r} is a {node.op_type}, which its parser has not; choose another target"
    yield from _input_problems(graph, rules)
    why = refusal(model, generation)
    if why:
        yield why
    if not rules.integer_weights:
        yield from _weight_problems(graph)


def _input_problems(graph: Graph, rules: Rules) -> Iterator[str]:
    for value in graph.model.graph.input:
        if value.type.tensor_type.elem_type != onnx.TensorProto.UINT8:
            continue
        if not rules.takes_uint8:
            yield f"input {value.name!r} is uint8, which it has from 8.5 on; give it as float32"
        for node in graph.consumers.get(value.name, ()):
            if node.op_type != "Cast":
                yield f"uint8 input {value.name!r} goes into a {node.op_type}; it has to go straight into a Cast"


def _weight_problems(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        if node.op_type == "DequantizeLinear" and node.input[0] in graph.initializers:
            yield f"weights {node.input[0]!r} stand as int8, read from 10 on; give them as float with a Q/DQ pair"
    halves = (name for name, tensor in graph.initializers.items() if tensor.data_type == onnx.TensorProto.FLOAT16)
    for name in halves:
        yield f"constant {name!r} is FP16; its types are weak, the builder's flag FP16 chooses"
