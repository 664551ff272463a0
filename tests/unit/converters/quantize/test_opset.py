"""Another opset changes the number, and the operators only where they changed."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from contracts.errors import ModelFileError
from converters.quantize.opset import at_opset
from tests.unit.converters.networks import finish
from tests.unit.converters.quantize.blocks import difference, folded_net


@pytest.mark.parametrize(("source", "wanted"), [(17, 13), (11, 13), (13, 19), (17, 21), (17, 17)])
def test_the_model_computes_the_same_and_nodes_keep_their_names(source: int, wanted: int) -> None:
    model = folded_net(opset=source)
    changed = at_opset(model, wanted)
    assert changed.opset_import[0].version == wanted
    assert changed.ir_version <= 10
    assert {node.name for node in model.graph.node} <= {node.name for node in changed.graph.node}
    assert difference(model, changed) < 1e-6


def test_an_operator_that_the_older_opset_has_not_is_named() -> None:
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    scale = onnx.numpy_helper.from_array(np.ones(4, np.float32), "scale")
    model = finish([helper.make_node("LayerNormalization", ["x", "scale"], ["y"])], value[:1], value[1:], [scale])
    with pytest.raises(ModelFileError, match="expected a model that can be written in opset 13, got one in opset 17"):
        at_opset(model, 13)
