"""How a model is quantised is told by its nodes, and what NVIDIA's parser refuses is refused here with the reason."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from converters.quantize.recognise import recognise, refusal
from tests.unit.converters.quantize.blocks import PICTURES, folded_net

SYMMETRIC = {"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False}


class Reader(CalibrationDataReader):  # type: ignore[misc] # it has no types
    """The pictures, one at a time."""

    def __init__(self) -> None:
        self._pictures: Iterator[np.ndarray] = iter(PICTURES[:2])

    def get_next(self) -> dict[str, Any] | None:
        picture = next(self._pictures, None)
        return None if picture is None else {"image": picture[None]}


def by_onnx_runtime(folder: Path, **changes: Any) -> onnx.ModelProto:
    """Quantised by ONNX Runtime's own tool, with its defaults but for the changes."""
    onnx.save(folded_net(), folder / "float.onnx")
    logging.disable(logging.WARNING)  # it advises to simplify first
    try:
        quantize_static(str(folder / "float.onnx"), str(folder / "int8.onnx"), Reader(), **changes)
    finally:
        logging.disable(logging.NOTSET)
    return onnx.load(folder / "int8.onnx")


def test_a_float_model_is_not_quantised() -> None:
    assert recognise(folded_net()).kind == "none"
    assert refusal(folded_net(), "11") is None


def test_the_defaults_of_onnx_runtime_are_refused_for_their_bias(tmp_path: Path) -> None:
    model = by_onnx_runtime(tmp_path, activation_type=QuantType.QInt8, extra_options=SYMMETRIC | {"QuantizeBias": True})
    assert recognise(model).kind == "qdq-other"
    why = refusal(model, "11")
    assert why is not None
    assert "TensorRT 11 takes symmetric int8 Q/DQ only: bias '" in why
    assert "is dequantised from int32" in why
    assert "QuantizeBias=False" in why


def test_an_unsigned_or_shifted_activation_is_refused(tmp_path: Path) -> None:
    shifted = by_onnx_runtime(tmp_path, activation_type=QuantType.QInt8, extra_options={"QuantizeBias": False})
    assert "is not 0; quantise again with ActivationSymmetric=True" in str(refusal(shifted, "8.5"))
    plain = by_onnx_runtime(tmp_path)
    assert recognise(plain).kind == "qdq-other"


def test_symmetric_pairs_of_another_tool_are_taken(tmp_path: Path) -> None:
    model = by_onnx_runtime(
        tmp_path, activation_type=QuantType.QInt8, weight_type=QuantType.QInt8, extra_options=SYMMETRIC
    )
    found = recognise(model)
    assert found.kind == "qdq-symmetric"
    assert found.nodes > 10
    assert refusal(model, "11") is None


def test_operators_in_integers_are_refused(tmp_path: Path) -> None:
    model = by_onnx_runtime(tmp_path, quant_format=QuantFormat.QOperator)
    assert recognise(model).kind == "qoperator"
    assert "QLinear" in str(refusal(model, "10.3"))


def test_ranges_found_while_it_runs_are_refused(tmp_path: Path) -> None:
    onnx.save(folded_net(), tmp_path / "float.onnx")
    logging.disable(logging.WARNING)
    try:
        quantize_dynamic(str(tmp_path / "float.onnx"), str(tmp_path / "int8.onnx"))
    finally:
        logging.disable(logging.NOTSET)
    model = onnx.load(tmp_path / "int8.onnx")
    assert recognise(model).kind == "dynamic"
    assert "finds its ranges while it runs" in str(refusal(model, "11"))


def test_pairs_without_a_zero_point_are_unsigned() -> None:
    model = folded_net()
    scale = onnx.numpy_helper.from_array(np.array(0.1, np.float32), "s")
    model.graph.initializer.append(scale)
    model.graph.node.append(onnx.helper.make_node("QuantizeLinear", ["density", "s"], ["q"], name="q"))
    model.graph.node.append(onnx.helper.make_node("DequantizeLinear", ["q", "s"], ["d"], name="d"))
    assert "node 'q' quantises to another type than int8" in recognise(model).problem
