"""The preparation as a convolution computes what the folded steps do."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from converters.fold import PREFIX, fold
from converters.quantize.graph import normalised
from converters.reference import prepared
from converters.tflite.preparation import with_convolution
from tests.unit.converters.networks import SIDE, identity_net, input_spec

FRAME = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE, 3), np.uint8)


@pytest.mark.parametrize(
    ("changes", "convolutions"),
    [
        ({"color": "bgr"}, 0),
        ({"color": "rgb"}, 1),
        ({"color": "bgr", "mean": [5.0]}, 1),
        ({"color": "rgb", "mean": [120.0, 110.0, 100.0], "std": [60.0, 50.0, 40.0]}, 1),
        ({"color": "gray", "mean": [3.0], "std": [5.0]}, 1),
    ],
    ids=str,
)
def test_it_computes_the_same(changes: dict[str, Any], convolutions: int) -> None:
    spec = input_spec(**changes)
    model = with_convolution(normalised(fold(identity_net(spec), spec)), spec)
    onnx.checker.check_model(model, full_check=True)
    came = ort.InferenceSession(model.SerializeToString()).run(None, {"image": FRAME})[0]
    np.testing.assert_allclose(came, prepared(FRAME, spec), rtol=1e-5, atol=1e-4)
    nodes = [node for node in model.graph.node if node.name.startswith(PREFIX)]
    assert [node.op_type for node in nodes] == ["Cast", "Transpose", *["Conv"] * convolutions]
