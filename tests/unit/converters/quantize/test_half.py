"""FP16 is where it shall be, FP32 where FP16 cannot be, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from contracts.errors import ModelFileError
from converters.fold import PREFIX, fold
from converters.quantize.graph import Graph, normalised
from converters.quantize.half import LARGEST, beyond_half, to_half
from converters.quantize.opset import at_opset
from converters.quantize.placement import insert_qdq
from converters.stages import cut, with_ends
from tests.unit.converters.networks import input_spec
from tests.unit.converters.quantize.blocks import difference, folded_net, run
from tests.unit.converters.quantize.test_placement import RANGES, wide_ranges
from tests.unit.converters.staged_net import ENDS, two_stage_net


def types(model: onnx.ModelProto) -> dict[str, int]:
    graph = model.graph
    values = (*graph.value_info, *graph.input, *graph.output)
    return {value.name: value.type.tensor_type.elem_type for value in values}


def test_all_but_the_preparation_and_the_outputs_is_fp16_and_says_nearly_the_same() -> None:
    model = folded_net()
    half = to_half(model)
    onnx.checker.check_model(half, full_check=True)
    kinds = types(half)
    assert kinds["image"] == TensorProto.UINT8
    assert kinds["density"] == kinds["classes"] == TensorProto.FLOAT
    for node in half.graph.node:
        if node.op_type in {"Conv", "ConvTranspose", "Gemm", "Resize", "Sigmoid"}:
            assert kinds[node.output[0]] == TensorProto.FLOAT16, node.name
        if node.name.startswith(PREFIX) and node.op_type in {"Sub", "Div"}:
            assert kinds[node.output[0]] == TensorProto.FLOAT, node.name
    assert 0 < difference(model, half) < 0.01


def test_the_weights_take_half_the_room() -> None:
    model = folded_net()
    sizes = {
        kind: sum(len(tensor.raw_data) for tensor in found.graph.initializer if tensor.name.endswith("_w"))
        for kind, found in (("float", model), ("half", to_half(model)))
    }
    assert sizes["half"] * 2 == sizes["float"]


def test_nodes_kept_out_compute_in_fp32_with_nothing_in_fp16_between_them() -> None:
    half = to_half(folded_net(), kept_out={"first", "first_relu", "second"})
    kinds, graph = types(half), Graph(half)
    for name in ("first", "first_relu", "second"):
        (node,) = (node for node in graph.nodes if node.name == name)
        assert kinds[node.output[0]] == TensorProto.FLOAT
    (second,) = (node for node in graph.nodes if node.name == "second")
    (relu,) = (node for node in graph.nodes if node.name == "first_relu")
    reached = graph.producers[second.input[0]]
    assert reached.name == relu.name or (reached.op_type == "Cast" and reached.input[0] == relu.output[0])


def test_values_beyond_fp16_are_found_and_survive_where_their_nodes_are_kept_out() -> None:
    model = folded_net(gain=1e5)
    ranges = wide_ranges(model)
    assert max(abs(value) for entry in ranges.values() for value in entry) > LARGEST
    names = beyond_half(model, ranges)
    assert {"stem", "stem_relu", "first"} <= set(names)
    assert not [name for name in names if name.startswith(PREFIX)]
    assert difference(model, to_half(model, kept_out=names)) < 0.02


def test_without_keeping_them_out_they_are_lost() -> None:
    half = to_half(folded_net(gain=1e5))
    half.graph.output.append(onnx.helper.make_tensor_value_info("stem_relu", TensorProto.FLOAT16, None))
    with pytest.raises(ModelFileError, match="'stem_relu' holds NaN or infinity"):
        run(half)


def test_a_weight_beyond_fp16_is_found_without_pictures() -> None:
    model = folded_net()
    (weights,) = (tensor for tensor in model.graph.initializer if tensor.name == "down_w")
    values = onnx.numpy_helper.to_array(weights).copy()
    values[0] = 1e6
    weights.CopyFrom(onnx.numpy_helper.from_array(values, "down_w"))
    assert beyond_half(model, {}) == ("down",)


def test_nothing_is_beyond_in_a_tame_model() -> None:
    assert beyond_half(folded_net(), RANGES) == ()


def test_pairs_keep_int8_with_fp16_scales() -> None:
    quantised = at_opset(insert_qdq(folded_net(), RANGES, integer_weights=True), 19)
    half = to_half(quantised)
    graph = Graph(normalised(half))
    for node in graph.nodes:
        if node.op_type in {"QuantizeLinear", "DequantizeLinear"}:
            assert graph.initializers[node.input[1]].data_type == TensorProto.FLOAT16
            assert graph.initializers[node.input[2]].data_type == TensorProto.INT8
    scales = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in quantised.graph.initializer}
    for tensor in half.graph.initializer:
        if tensor.name.endswith("/scale"):
            np.testing.assert_array_equal(onnx.numpy_helper.to_array(tensor).astype(np.float32), scales[tensor.name])


def test_an_output_that_the_network_reads_itself_stays_float32_for_who_reads_it() -> None:
    first, _ = cut(
        Path("m.onnx"), with_ends(Path("m.onnx"), onnx.shape_inference.infer_shapes(two_stage_net()), ENDS), ENDS
    )
    half = to_half(normalised(fold(first, input_spec())))
    assert types(half)["features"] == types(half)["objectness"] == TensorProto.FLOAT
    kinds = {node.op_type: types(half)[node.output[0]] for node in half.graph.node}
    assert kinds["Conv"] == TensorProto.FLOAT16
