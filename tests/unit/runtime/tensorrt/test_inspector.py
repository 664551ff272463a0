"""Reading what an engine's layers compute in, from reports of all sorts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.tensorrt.inspector import count_layers


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        ({"LayerType": "CaskConvolution", "Weights": {"Type": "Int8"}}, "int8"),
        ({"LayerType": "CaskConvolution", "Inputs": [{"Format/Datatype": "Row major linear FP16 format"}]}, "f16"),
        ({"LayerType": "CaskDeconvolutionV2", "Inputs": [{"Format/Datatype": "Row major linear FP32"}]}, "f32"),
        ({"LayerType": "gemm", "Inputs": [{"Format/Datatype": "Half"}]}, "f16"),
        ({"LayerType": "MatrixMultiply", "Inputs": [{"Format/Datatype": "BFloat16"}]}, "bf16"),
        ({"LayerType": "Fused", "ParameterType": "Convolution", "Inputs": [{"Format/Datatype": "Float"}]}, "f32"),
        ({"LayerType": "CaskConvolution", "Inputs": [{"Format/Datatype": "N/A due to dynamic shapes"}]}, "other"),
        ({"LayerType": "CaskConvolution", "Inputs": []}, "other"),
    ],
)
def test_a_layer_counts_by_what_it_computes_in(layer: dict[str, Any], kind: str) -> None:
    assert count_layers(json.dumps({"Layers": [layer]})).by_type == {kind: 1}


def test_layers_that_only_move_data_do_not_count() -> None:
    kinds = ("Reformat", "Constant", "NoOp", "PointWise", "Pooling")
    report = {"Layers": [{"LayerType": kind, "Inputs": [{"Format/Datatype": "Int8"}]} for kind in kinds]}
    counts = count_layers(json.dumps(report))
    assert counts.by_type == {}
    assert counts.detailed


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["LayerType", "Name", "Inputs", "Weights"]), inner),
    max_leaves=20,
)


@given(st.text() | json_values.map(lambda value: json.dumps({"Layers": value})) | json_values.map(json.dumps))
def test_no_report_breaks_it(report: str) -> None:
    counts = count_layers(report)
    assert sum(counts.by_type.values()) >= 0
    assert counts.detailed or not counts.by_type
