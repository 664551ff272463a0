"""What goes with a layer that is kept out of quantisation, and what a network's last layers are."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from converters.quantize.graph import Graph
from converters.quantize.heads import ends, head_layers, with_activations


def detector() -> Graph:
    """Two layers, each with its SiLU, and three heads that are joined."""
    nodes = []

    def layer(name: str, source: str) -> None:
        nodes.append(helper.make_node("Conv", [source, "w"], [name], name=name))
        nodes.append(helper.make_node("Sigmoid", [name], [f"{name}_gate"], name=f"{name}_gate"))
        nodes.append(helper.make_node("Mul", [name, f"{name}_gate"], [f"{name}_silu"], name=f"{name}_silu"))

    layer("first", "image")
    layer("second", "first_silu")
    nodes.append(helper.make_node("Add", ["second_silu", "first_silu"], ["sum"], name="sum"))
    nodes += [helper.make_node("Conv", ["sum", "w"], [name], name=name) for name in ("boxes", "scores")]
    nodes.append(helper.make_node("Sigmoid", ["scores"], ["certain"], name="certain"))
    nodes.append(helper.make_node("Concat", ["boxes", "certain"], ["found"], name="found", axis=1))
    weights = numpy_helper.from_array(np.zeros((1, 1, 1, 1), np.float32), "w")
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("image", "found")]
    return Graph(helper.make_model(helper.make_graph(nodes, "detector", values[:1], values[1:], [weights])))


def test_the_last_layers_are_those_that_no_other_follows() -> None:
    assert set(head_layers(detector())) == {"boxes", "scores"}


def test_the_end_is_the_last_layers_and_all_behind_them() -> None:
    assert ends(detector()) == ("boxes", "scores", "certain", "found")


def test_both_halves_of_a_silu_go_with_their_layer() -> None:
    assert with_activations(detector(), {"first"}) == ("first", "first_gate", "first_silu")


def test_a_sum_with_what_another_layer_gives_goes_with_neither_alone() -> None:
    assert "sum" not in with_activations(detector(), {"second"})
    assert "sum" in with_activations(detector(), {"first", "second"})


def test_what_is_multiplied_by_a_constant_goes_with_its_layer() -> None:
    model = onnx.ModelProto()
    model.CopyFrom(detector().model)
    model.graph.node.append(helper.make_node("Mul", ["boxes", "w"], ["scaled"], name="scaled"))
    assert with_activations(Graph(model), {"boxes"}) == ("boxes", "scaled")
