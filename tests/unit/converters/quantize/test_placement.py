"""Q/DQ pairs stand where TensorRT fuses them and nowhere else, and with enough range they change next to nothing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import TensorProto, helper, numpy_helper

from converters.fold import PREFIX
from converters.quantize.graph import Graph, normalised
from converters.quantize.placement import (
    LEVELS,
    insert_qdq,
    quantise,
    quantised_nodes,
    scales_of,
    weight_axis,
    weight_scales,
)
from converters.quantize.ranges import Ranges
from converters.quantize.recognise import recognise
from tests.unit.converters.quantize.blocks import PICTURES, block_net, difference, folded_net, run

LAYERS = ("stem", "first", "second", "down", "up", "again", "hidden")
FLOAT_LAYERS = ("squeeze", "head", "classes")


def wide_ranges(model: onnx.ModelProto, margin: float = 1.05) -> Ranges:
    """What the pictures show, a little wider."""
    named = normalised(model)
    names = [name for node in named.graph.node for name in node.output if name in Graph(named).floats]
    shown = {value.name: value for value in (*named.graph.value_info, *named.graph.output)}
    del named.graph.output[:]
    named.graph.output.extend(shown[name] for name in names)
    found: dict[str, tuple[float, float]] = {}
    for values in run(named):
        for name, array in values.items():
            low, high = found.get(name, (0.0, 0.0))
            found[name] = (min(low, margin * float(array.min())), max(high, margin * float(array.max())))
    return found


MODEL = folded_net()
RANGES = wide_ranges(MODEL)


def test_the_layers_that_may_be_quantised_are_named_in_order() -> None:
    assert quantised_nodes(MODEL) == LAYERS


def test_heads_squeeze_and_excite_and_the_preparation_stay_in_float() -> None:
    grey = folded_net()
    assert not {*FLOAT_LAYERS} & set(quantised_nodes(grey))
    quantised = insert_qdq(MODEL, RANGES)
    graph = Graph(quantised)
    for node in graph.nodes:
        if node.name.startswith(PREFIX) or node.name in FLOAT_LAYERS or node.op_type in {"Mul", "Sigmoid", "Resize"}:
            givers = [graph.producers[name].op_type for name in node.input if name in graph.producers]
            assert "DequantizeLinear" not in givers, node.name


@pytest.mark.parametrize("integer_weights", [False, True])
def test_every_layer_reads_its_input_and_weights_dequantised_and_its_bias_as_it_is(integer_weights: bool) -> None:
    graph = Graph(insert_qdq(MODEL, RANGES, integer_weights=integer_weights))
    for name in LAYERS:
        (node,) = (node for node in graph.nodes if node.name == name)
        assert [graph.producers[source].op_type for source in node.input[:2]] == ["DequantizeLinear"] * 2
        assert all(bias in graph.initializers for bias in node.input[2:])


@pytest.mark.parametrize("integer_weights", [False, True])
def test_it_is_symmetric_int8_without_a_quantised_bias(integer_weights: bool) -> None:
    quantised = insert_qdq(MODEL, RANGES, integer_weights=integer_weights)
    onnx.checker.check_model(quantised, full_check=True)
    assert recognise(quantised).kind == "qdq-symmetric"
    graph = Graph(quantised)
    for node in graph.nodes:
        if node.op_type in {"QuantizeLinear", "DequantizeLinear"}:
            zero = numpy_helper.to_array(graph.initializers[node.input[2]])
            assert zero.dtype == np.int8
            assert not zero.any()


def test_weights_as_integers_compute_the_same_and_are_smaller() -> None:
    floats, integers = (insert_qdq(MODEL, RANGES, integer_weights=flag) for flag in (False, True))
    assert difference(floats, integers) < 1e-6
    assert integers.ByteSize() < floats.ByteSize()
    assert not [tensor.name for tensor in integers.graph.initializer if tensor.name == "stem_w"]


def test_of_a_residual_addition_the_branch_that_ends_in_no_layer_is_quantised() -> None:
    graph = Graph(insert_qdq(MODEL, RANGES))
    (add,) = (node for node in graph.nodes if node.name == "residual")
    assert add.input[0] == "second", "its layer fuses with it"
    assert graph.producers[add.input[1]].op_type == "DequantizeLinear"


def test_an_addition_stays_in_float_where_its_layer_s_output_is_wanted_elsewhere_too() -> None:
    model = folded_net()
    model.graph.node.append(helper.make_node("Sigmoid", ["second"], ["seen"], name="seen"))
    (add,) = (node for node in insert_qdq(model, RANGES).graph.node if node.name == "residual")
    assert list(add.input) == ["second", "stem_relu"], "the layer cannot fuse with it"


def test_one_pair_is_shared_by_all_that_take_a_tensor() -> None:
    graph = Graph(insert_qdq(MODEL, RANGES))
    pairs = [node.input[0] for node in graph.nodes if node.op_type == "QuantizeLinear"]
    assert len(pairs) == len(set(pairs))
    (quantise_stem,) = (node for node in graph.nodes if node.op_type == "QuantizeLinear" and "stem_relu" in node.input)
    (dequantised,) = graph.consumers[quantise_stem.output[0]]
    assert {node.name for node in graph.consumers[dequantised.output[0]]} == {"first", "residual"}


def test_nodes_kept_out_stay_as_they_were() -> None:
    graph = Graph(insert_qdq(MODEL, RANGES, kept_out={"second", "up"}))
    by_name = {node.name: node for node in graph.nodes}
    assert by_name["second"].input[0] == "first_relu"
    assert by_name["up"].input[0] == "both"
    assert by_name["residual"].input[1] == "stem_relu", "nothing is there for it to fuse with"
    assert graph.producers[by_name["first"].input[0]].op_type == "DequantizeLinear"


def test_an_addition_can_be_kept_out_by_itself() -> None:
    graph = Graph(insert_qdq(MODEL, RANGES, kept_out={"residual"}))
    by_name = {node.name: node for node in graph.nodes}
    assert list(by_name["residual"].input) == ["second", "stem_relu"]
    assert by_name["second"].input[0] != "first_relu"


def test_only_the_layers_that_are_named_are_quantised() -> None:
    graph = Graph(insert_qdq(MODEL, RANGES, only={"down"}))
    assert [node.input[0] for node in graph.nodes if node.op_type == "QuantizeLinear"] == ["gated", "down_w"]


def test_every_kind_of_layer_has_its_scales_on_the_axis_of_its_outputs() -> None:
    graph = Graph(insert_qdq(MODEL, RANGES))
    axes = {
        node.input[0]: next((found.i for found in node.attribute if found.name == "axis"), None)
        for node in graph.nodes
        if node.op_type == "QuantizeLinear" and node.input[0].endswith("_w")
    }
    assert axes["up_w"] == 1, "ConvTranspose counts its outputs second"
    assert axes["fc_w"] == 1, "Gemm without transB"
    assert axes["stem_w"] == 0
    sizes = {name: graph.initializers[f"qdq{axes[name]}/{name}/scale"].dims[0] for name in axes}
    assert (sizes["up_w"], sizes["fc_w"], sizes["stem_w"]) == (4, 16, 8)


@pytest.mark.parametrize(
    ("operator", "attributes", "rank", "axis"),
    [
        ("Conv", {"group": 4}, 4, 0),
        ("ConvTranspose", {}, 4, 1),
        ("ConvTranspose", {"group": 2}, 4, None),
        ("Gemm", {"transB": 1}, 2, 0),
        ("Gemm", {}, 2, 1),
        ("MatMul", {}, 2, 1),
        ("MatMul", {}, 3, None),
    ],
)
def test_the_axis_of_the_outputs(operator: str, attributes: Mapping[str, int], rank: int, axis: int | None) -> None:
    node = helper.make_node(operator, ["x", "w"], ["y"])
    node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
    assert weight_axis(node, rank) == axis


def test_a_model_of_an_older_opset_is_brought_to_the_first_with_scales_a_channel() -> None:
    quantised = insert_qdq(folded_net(opset=11), RANGES)
    assert quantised.opset_import[0].version == 13
    assert difference(MODEL, quantised) < 0.2


def test_a_tensor_without_a_range_is_refused() -> None:
    ranges = {name: value for name, value in RANGES.items() if name != "gated"}
    with pytest.raises(ValueError, match="'gated' is to be quantised, expected a range"):
        insert_qdq(MODEL, ranges)


def test_nodes_without_names_can_be_told_apart() -> None:
    nameless = folded_net()
    for node in nameless.graph.node:
        if not node.name.startswith(PREFIX):
            node.name = ""
    names = quantised_nodes(nameless)
    assert len(set(names)) == len(LAYERS)
    quantised = insert_qdq(nameless, RANGES, kept_out=names[1:])
    assert sum(node.op_type == "QuantizeLinear" for node in quantised.graph.node) == 2


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), gain=st.floats(0.05, 20.0))
def test_with_enough_range_the_outputs_stay_close(seed: int, gain: float) -> None:
    model = folded_net(seed=seed, gain=gain)
    quantised = insert_qdq(model, wide_ranges(model))
    assert difference(model, quantised) < 0.35, "8 bits after 7 random layers; a wrong scale is off by far more"


@given(arrays(np.float32, st.integers(1, 20), elements=st.floats(0, 3e6, width=32)))
def test_scales_clip_nothing_and_survive_fp16(largest: np.ndarray) -> None:
    scales = scales_of(largest)
    assert (scales > 0).all()
    assert (largest <= np.float32(LEVELS) * scales * (1 + 1e-6)).all()
    small = largest / LEVELS < np.finfo(np.float16).max
    assert (scales[small].astype(np.float16).astype(np.float32) == scales[small]).all()


@given(arrays(np.float32, (3, 4, 2), elements=st.floats(-100, 100, width=32)), st.sampled_from([None, 0, 1, 2]))
def test_weights_are_off_by_half_a_step_at_most(weights: np.ndarray, axis: int | None) -> None:
    scales = weight_scales(weights, axis)
    shape = [1, 1, 1]
    if axis is not None:
        shape[axis] = -1
    step = scales.reshape(shape)
    off = np.abs(quantise(weights, scales, axis).astype(np.float32) * step - weights)
    assert (off <= step * 0.5001).all()


def test_the_source_is_left_as_it_was() -> None:
    model = folded_net()
    before = model.SerializeToString()
    insert_qdq(model, RANGES)
    assert model.SerializeToString() == before
    assert block_net().graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT
    assert len(PICTURES) == len(run(model))
