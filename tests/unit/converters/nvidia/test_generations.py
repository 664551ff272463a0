"""What a generation of TensorRT cannot take is refused with the node and the rule."""

from __future__ import annotations

from itertools import pairwise
from typing import get_args

import onnx
import pytest
from onnx import TensorProto, helper

from contracts.engine_recipe import Generation
from contracts.errors import DocumentError, ModelFileError
from contracts.facts import version_key
from converters.nvidia.generations import GENERATIONS, check_rules, generation_of
from converters.nvidia.making import cast_first, float_input
from converters.quantize.half import to_half
from converters.quantize.opset import at_opset
from converters.quantize.placement import insert_qdq
from tests.unit.converters.networks import finish
from tests.unit.converters.quantize.blocks import folded_net
from tests.unit.converters.quantize.test_placement import RANGES

FIRST = cast_first(folded_net(opset=13))


@pytest.mark.parametrize("generation", get_args(Generation))
def test_what_is_made_for_a_generation_keeps_its_rules(generation: Generation) -> None:
    model = FIRST if GENERATIONS[generation].takes_uint8 else float_input(FIRST)
    check_rules(model, generation, "model.onnx")


def refused(model: onnx.ModelProto, generation: Generation, why: str) -> None:
    with pytest.raises(ModelFileError, match=rf"^model\.onnx: TensorRT {generation} does not take it: .*{why}"):
        check_rules(model, generation, "model.onnx")


def test_an_opset_that_is_too_new() -> None:
    refused(float_input(at_opset(FIRST, 17)), "8.2", "expected opset 13 at most, got 17")
    refused(at_opset(FIRST, 19), "8.5", "expected opset 17 at most, got 19")


def test_a_uint8_input_before_8_5_or_not_straight_into_a_cast() -> None:
    refused(FIRST, "8.2", "input 'image' is uint8, which it has from 8.5 on")
    refused(folded_net(), "11", "uint8 input 'image' goes into a Transpose; it has to go straight into a Cast")


def test_weights_in_int8_before_10() -> None:
    quantised = insert_qdq(FIRST, RANGES, integer_weights=True)
    refused(quantised, "8.6", "stand as int8, read from 10 on")
    check_rules(quantised, "11", "model.onnx")


def test_fp16_where_types_are_weak() -> None:
    refused(to_half(FIRST), "10.3", "is FP16; its types are weak")
    check_rules(to_half(FIRST), "10.13", "model.onnx")


def test_pairs_that_are_not_symmetric() -> None:
    model = insert_qdq(FIRST, RANGES)
    for tensor in model.graph.initializer:
        if tensor.name.endswith("stem_relu/zero"):
            tensor.CopyFrom(helper.make_tensor(tensor.name, TensorProto.INT8, [], [3]))
    refused(model, "8.5", "the zero point 'qdq/stem_relu/zero' of node .* is not 0")


@pytest.mark.parametrize(
    ("operator", "generation", "taken_from"),
    [("Trilu", "8.2", "8.5"), ("LayerNormalization", "8.5", "8.6"), ("Hardmax", "8.6", "10.3")],
)
def test_an_operator_that_came_later(operator: str, generation: Generation, taken_from: Generation) -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 4]) for name in ("x", "y")]
    inputs = ["x", "scale"] if operator == "LayerNormalization" else ["x"]
    constants = [helper.make_tensor("scale", TensorProto.FLOAT, [4], [1.0] * 4)]
    model = finish([helper.make_node(operator, inputs, ["y"], name="new")], values[:1], values[1:], constants)
    model.opset_import[0].version = 17 if generation != "8.2" else 14
    with pytest.raises(ModelFileError, match=rf"node 'new' is a {operator}|expected opset 13"):
        check_rules(model, generation, "model.onnx")
    check_rules(model, taken_from, "model.onnx")


def test_generations_follow_each_other_without_a_gap_but_for_those_nobody_has() -> None:
    rules = list(GENERATIONS.values())
    for earlier, later in pairwise(rules):
        assert version_key(earlier.below) <= version_key(later.at_least)
    assert [name for name, found in GENERATIONS.items() if found.strongly_typed] == ["10.13", "11"]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "missing key 'generation'"),
        ({"generation": "9.0"}, "'generation' should be '8.2', '8.5'"),
        ({"generation": "11", "dla": "0"}, "unknown key 'dla'"),
        ({"generation": "11", "placement": "ours"}, "'placement' should be 'edgetally' or 'modelopt', got 'ours'"),
    ],
)
def test_options_that_are_not_known_are_refused(options: dict[str, str], why: str) -> None:
    with pytest.raises(DocumentError, match=why):
        generation_of(options, "[options]")
