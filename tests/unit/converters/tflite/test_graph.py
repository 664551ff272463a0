"""What onnx2tf gets computes the same under plain names, and the way back is known."""

from __future__ import annotations

import re

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from converters.fold import fold
from converters.quantize.graph import normalised
from converters.tflite.graph import INPUT, Renamed, renamed
from tests.unit.converters.networks import SIDE, density_net, finish, input_spec

FRAME = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE, 3), np.uint8)


def folded() -> onnx.ModelProto:
    return normalised(fold(density_net(), input_spec(color="rgb", mean=[120.0], std=[60.0])))


def names(model: Renamed) -> set[str]:
    graph = model.model.graph
    return {name for node in graph.node for name in (node.name, *node.input, *node.output)}


def test_the_renamed_model_is_valid_and_computes_the_same() -> None:
    before, after = folded(), renamed(folded())
    onnx.checker.check_model(after.model, full_check=True)
    expected = ort.InferenceSession(before.SerializeToString()).run(["density"], {"image": FRAME})[0]
    came = ort.InferenceSession(after.model.SerializeToString()).run(["output_0"], {INPUT: FRAME})[0]
    np.testing.assert_array_equal(came, expected)


def test_the_way_back_is_known() -> None:
    before, after = folded(), renamed(folded())
    assert (after.input, dict(after.outputs)) == ("image", {"output_0": "density"})
    assert after.nodes.keys() == {node.name for node in before.graph.node}
    made = {output for node in after.model.graph.node for output in node.output}
    assert all(set(node.outputs) <= made for node in after.nodes.values())


def test_every_name_is_one_that_onnx2tf_leaves_alone() -> None:
    model = folded()
    for node in model.graph.node:
        node.name = f"/trunk/onnx::{node.name}:0"
    assert all(re.fullmatch(r"[A-Za-z0-9_]+", name) for name in names(renamed(model)))


def test_names_that_differ_only_in_what_is_replaced_stay_apart() -> None:
    nodes = [helper.make_node("Relu", ["image"], ["a/b"], "x/y"), helper.make_node("Relu", ["a/b"], ["a:b"], "x:y")]
    value = [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 4, 4])]
    result = helper.make_tensor_value_info("a:b", TensorProto.FLOAT, [1, 3, 4, 4])
    after = renamed(finish(nodes, value, [result], []))
    onnx.checker.check_model(after.model, full_check=True)
    assert after.nodes["x/y"].plain != after.nodes["x:y"].plain


def test_bodies_of_if_read_the_outer_values_under_their_new_names() -> None:
    then = helper.make_graph(
        [helper.make_node("Relu", ["image"], ["t"])],
        "then",
        [],
        [helper.make_tensor_value_info("t", TensorProto.FLOAT, [1, 3])],
    )
    other = helper.make_graph(
        [helper.make_node("Neg", ["image"], ["e"])],
        "else",
        [],
        [helper.make_tensor_value_info("e", TensorProto.FLOAT, [1, 3])],
    )
    node = helper.make_node("If", ["yes"], ["out"], "choose", then_branch=then, else_branch=other)
    model = finish(
        [node],
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(np.array(False), "yes")],
    )
    after = renamed(model)
    came = ort.InferenceSession(after.model.SerializeToString()).run(None, {INPUT: np.ones((1, 3), np.float32)})[0]
    np.testing.assert_array_equal(came, -np.ones((1, 3), np.float32))
