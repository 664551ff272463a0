"""The network that is measured is as large as it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from runtime.model_dir import read_model_dir
from tools.bench.resnet import write_model


def test_the_drawn_network_is_as_large_as_resnet50_and_keeps_its_numbers_within_bounds(tmp_path: Path) -> None:
    directory = read_model_dir(write_model(tmp_path / "resnet50"))
    model = onnx.shape_inference.infer_shapes(onnx.load(directory.model_file), strict_mode=True)
    assert sum(np.prod(tensor.dims) for tensor in model.graph.initializer) == 25_530_472  # batch norms fused
    places = {value.name: [size.dim_value for size in value.type.tensor_type.shape.dim] for value in shapes(model)}
    assert places["answer"] == [1, 1000]
    assert places[last_map(model)] == [1, 2048, 7, 7]
    assert all(np.isfinite(numpy_helper.to_array(tensor)).all() for tensor in model.graph.initializer)


def shapes(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    return [*model.graph.value_info, *model.graph.output]


def last_map(model: onnx.ModelProto) -> str:
    (pooled,) = (node.input[0] for node in model.graph.node if node.op_type == "GlobalAveragePool")
    return str(pooled)
