"""Every runtime that is here multiplies, and one that is missing or says something else is told."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from contracts.errors import DeviceError, EdgetallyError, UnknownNameError
from runtime import trial
from runtime.backends.table import BACKENDS
from runtime.results import Tensors
from runtime.trial import ONNX, TRIALS, multiply


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino", "tflite"])
def test_a_runtime_multiplies(backend: str) -> None:
    assert multiply(backend, {}) == 42.0


def test_every_backend_that_computes_can_be_tried() -> None:
    assert TRIALS.keys() == BACKENDS.keys() - {"null"}


def test_the_network_is_what_its_maker_makes() -> None:
    ends = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "abc"}
    graph = helper.make_graph([helper.make_node("Mul", ["a", "b"], ["c"])], "mul", [ends["a"], ends["b"]], [ends["c"]])
    made = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8, producer_name="edgetally"
    )
    assert onnx.load_model_from_string(ONNX) == made


def test_a_wrong_product_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong:
        closed = False

        def infer(self, tensors: Tensors) -> Tensors:
            return {"c": np.array([0.0], np.float32)}

        def close(self) -> None:
            self.closed = True

    lane = Wrong()
    monkeypatch.setitem(trial.TRIALS, "onnxruntime", lambda *_: lane)
    with pytest.raises(DeviceError, match="6 times 7 should be 42, onnxruntime says 0"):
        multiply("onnxruntime", {})
    assert lane.closed


def test_a_backend_that_there_is_not_is_named() -> None:
    with pytest.raises(UnknownNameError, match="unknown backend 'onxruntime'"):
        multiply("onxruntime", {})


def test_a_tensorrt_that_is_not_installed_is_told() -> None:
    with pytest.raises(EdgetallyError, match=r"runtime\.tensorrt"):
        multiply("tensorrt", {})
