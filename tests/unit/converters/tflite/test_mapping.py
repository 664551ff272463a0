"""ONNX nodes are found again among TFLite's operators, and what stays in floating point is what should."""

from __future__ import annotations

from dataclasses import replace

import onnx
import pytest
from onnx import helper

from contracts.errors import ModelFileError
from converters.tflite.flatbuffer import Graph, Operator, Tensor
from converters.tflite.graph import Node, Renamed
from converters.tflite.mapping import heavy_types, kept_tensors, operators_of, tail


def tensor(name: str, dtype: str = "float32", *, constant: bool = False) -> Tensor:
    return Tensor(name, dtype, (1,), constant)


def operator(kind: str, inputs: str, output: str) -> Operator:
    return Operator(kind, 1, tuple(tensor(name) for name in inputs.split()), (tensor(output),))


# A detector: preparation, two convolutions (the first with its activation inside), boxes and scores joined.
GRAPH = Graph(
    (
        operator("CAST", "image", "n0_prepared"),
        operator("CONV_2D", "n0_prepared w", "n3_second_input_nhwc"),
        operator("CONV_2D", "n3_second_input_nhwc w", "n3_second_output_nhwc"),
        operator("CONV_2D", "n3_second_input_nhwc w", "n4_third_output_nhwc"),
        operator("LOGISTIC", "n4_third_output_nhwc", "n5_0_scores"),
        operator("CONCATENATION", "n3_second_output_nhwc n5_0_scores", "joined"),
        operator("TRANSPOSE", "joined", "boxes"),
    ),
    (tensor("image"),),
    (tensor("boxes"),),
)
NAMES = Renamed(
    onnx.ModelProto(),
    "image",
    {"output_0": "boxes"},
    {
        "edgetally_prepare/0_cast": Node("n0", "Cast", ("n0_prepared",)),
        "first": Node("n1_first", "Conv", ("n1_0_first",)),
        "relu": Node("n2_relu", "Relu", ("n2_0_relu",)),
        "second": Node("n3_second", "Conv", ("n3_0_second",)),
        "third": Node("n4_third", "Conv", ("n4_0_third",)),
        "scores": Node("n5_scores", "Sigmoid", ("n5_0_scores",)),
        "join": Node("n6_join", "Concat", ("output_0",)),
        "gone": Node("n7_gone", "Dropout", ("n7_0_gone",)),
    },
)
RECORDS = {
    "n0_prepared": "n0_prepared",
    "n1_0_first": "n3_second_input_nhwc",
    "n2_0_relu": "n3_second_input_nhwc",
    "n3_0_second": "n3_0_second",  # which onnx2tf lost sight of
    "n4_0_third": "n4_third_output_nhwc",
    "n5_0_scores": "n5_0_scores",
}


def found() -> dict[str, tuple[str, ...]]:
    mapped = operators_of(NAMES, RECORDS, GRAPH)
    return {name: tuple(op.outputs[0].name for op in operators) for name, operators in mapped.items()}


def test_nodes_are_found_by_the_report_or_by_their_own_name() -> None:
    assert found() == {
        "edgetally_prepare/0_cast": ("n0_prepared",),
        "first": ("n3_second_input_nhwc",),
        "relu": ("n3_second_input_nhwc",),
        "second": ("n3_second_output_nhwc",),
        "third": ("n4_third_output_nhwc",),
        "scores": ("n5_0_scores",),
        "join": ("boxes",),
    }


def test_a_convolution_is_followed_through_a_change_of_layout() -> None:
    graph = Graph((*GRAPH.operators, operator("RESHAPE", "n4_third_output_nhwc", "shaped")), (), ())
    operators = operators_of(NAMES, RECORDS | {"n4_0_third": "shaped"}, graph)["third"]
    assert [one.kind for one in operators] == ["CONV_2D"]


def test_a_convolution_is_found_under_the_name_of_what_was_folded_into_it() -> None:
    model = onnx.ModelProto()
    model.graph.node.append(helper.make_node("BatchNormalization", ["n4_0_third", "s"], ["n4_1_norm"]))
    model.graph.node.append(helper.make_node("Relu", ["n4_1_norm"], ["n4_2_relu"]))
    records = RECORDS | {"n4_0_third": "lost", "n4_1_norm": "lost", "n4_2_relu": "n4_third"}
    graph = Graph((operator("CONV_2D", "image w", "n4_third"),), (), ())
    operators = operators_of(replace(NAMES, model=model), records, graph)
    assert [one.outputs[0].name for one in operators["third"]] == ["n4_third"]


def test_a_report_that_takes_a_convolution_for_something_else_is_not_believed() -> None:
    operators = operators_of(NAMES, RECORDS | {"n4_0_third": "n5_0_scores"}, GRAPH)["third"]
    assert [one.outputs[0].name for one in operators] == ["n4_third_output_nhwc"]
    assert "third" not in operators_of(NAMES, {"n4_0_third": "n5_0_scores"}, Graph(GRAPH.operators[4:], (), ()))


def test_preparation_and_all_behind_the_last_convolutions_stay_float() -> None:
    assert [one.kind for one in tail(GRAPH)] == ["TRANSPOSE", "CONCATENATION", "LOGISTIC"]
    kept = kept_tensors(operators_of(NAMES, RECORDS, GRAPH), (), GRAPH)
    assert kept == ("n0_prepared", "n5_0_scores", "joined", "boxes")


def test_what_is_kept_out_stays_float_too() -> None:
    kept = kept_tensors(operators_of(NAMES, RECORDS, GRAPH), ("second",), GRAPH)
    assert "n3_second_output_nhwc" in kept
    assert "n4_third_output_nhwc" not in kept


def test_the_padding_before_what_is_kept_out_stays_float_too() -> None:
    operators = list(GRAPH.operators)
    operators[2:3] = [
        operator("PAD", "n3_second_input_nhwc sizes", "n3_second_input_nhwc_padded"),
        operator("CONV_2D", "n3_second_input_nhwc_padded w", "n3_second_output_nhwc"),
    ]
    graph = Graph(tuple(operators), GRAPH.inputs, GRAPH.outputs)
    found = operators_of(NAMES, RECORDS, graph)
    assert "n3_second_input_nhwc_padded" in kept_tensors(found, ("second",), graph)
    assert "n3_second_input_nhwc_padded" not in kept_tensors(found, ("third",), graph)
    assert "n3_second_input_nhwc" not in kept_tensors(found, ("second",), graph), "that is the first layer's"


def test_nodes_that_cannot_be_found_are_named_not_ignored() -> None:
    with pytest.raises(ModelFileError, match="cannot keep 'gone', 'unknown' out of quantisation"):
        kept_tensors(operators_of(NAMES, RECORDS, GRAPH), ("first", "gone", "unknown"), GRAPH)


def test_the_type_of_the_arithmetic_is_read_from_the_right_inputs() -> None:
    shape, weights, data = tensor("shape", "int32"), tensor("w", "int8"), tensor("x", "int8")
    graph = Graph(
        (
            Operator("TRANSPOSE_CONV", 1, (shape, weights, data), (tensor("up", "int8"),)),
            Operator("CONV_2D", 1, (tensor("y"), tensor("v", "int8")), (tensor("dynamic"),)),
            Operator("ADD", 1, (data, data), (tensor("sum"),)),
        ),
        (),
        (),
    )
    assert heavy_types(graph) == {"up": ("int8", "int8"), "dynamic": ("float32", "int8")}
