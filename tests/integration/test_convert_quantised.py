"""A model that came quantised is passed on as it is, or refused with what it would take; never quantised twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from converters.build import build
from converters.report.rows import Row
from converters.report.write import read_report
from converters.request import Request
from tests.unit.converters.networks import SIDE, write_model_dir

NAMES = ("x86-openvino", "x86-onnxruntime", "x86-tflite", "x86-tensorrt")


class Pictures(CalibrationDataReader):  # type: ignore[misc]  # the package has no types
    def __init__(self) -> None:
        self._left = 8

    def get_next(self) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]] | None:
        self._left -= 1
        if self._left < 0:
            return None
        return {"image": np.random.default_rng(self._left).random((1, 3, SIDE, SIDE), np.float32) * 255}


def quantised_dir(folder: Path, *, symmetric: bool) -> Path:
    """ONNX Runtime's own Q/DQ: by default, or as NVIDIA's parser wants it."""
    model = write_model_dir(folder)
    options = {"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False} if symmetric else {}
    quantize_static(
        str(model / "model.onnx"),
        str(model / "model.onnx"),
        Pictures(),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QInt8 if symmetric else QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        extra_options=options,
    )
    return model


def rows_of(folder: Path, *, symmetric: bool) -> dict[str, list[Row]]:
    model = quantised_dir(folder / "model", symmetric=symmetric)
    bundle = build(Request(model, folder / "a.bundle", NAMES, pictures=8, measuring="none"))
    rows = read_report(bundle).rows
    return {name: [row for row in rows if row.target == name] for name in NAMES}


@pytest.fixture(scope="module")
def default(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Row]]:
    return rows_of(tmp_path_factory.mktemp("default"), symmetric=False)


@pytest.mark.parametrize("target", ["x86-openvino", "x86-onnxruntime"])
def test_runtimes_that_read_it_get_it_as_it_is(target: str, default: dict[str, list[Row]]) -> None:
    kept = [row for row in default[target] if row.status == "kept"]
    assert kept
    assert {(row.precision, row.method, row.kept_out) for row in kept} == {("int8", "", ())}


def test_a_family_that_quantises_by_itself_asks_for_the_float_model(default: dict[str, list[Row]]) -> None:
    assert {row.status for row in default["x86-tflite"]} == {"failed"}
    assert all("give the float model" in row.reason for row in default["x86-tflite"])


def test_the_form_that_nvidia_s_parser_refuses_is_refused_with_the_reason(default: dict[str, list[Row]]) -> None:
    (row,) = default["x86-tensorrt"]
    assert row.status == "failed"
    assert "takes symmetric int8 Q/DQ only" in row.reason


def test_the_symmetric_form_is_passed_on_to_tensorrt(tmp_path: Path) -> None:
    (row,) = rows_of(tmp_path, symmetric=True)["x86-tensorrt"]
    assert (row.status, row.precision) == ("kept", "int8"), row.reason


def test_the_file_for_onnx_runtime_holds_the_author_s_own_scales(tmp_path: Path) -> None:
    model = quantised_dir(tmp_path / "model", symmetric=False)
    bundle = build(Request(model, tmp_path / "a.bundle", ("x86-onnxruntime",), pictures=8, measuring="none"))
    (artifact,) = bundle.manifest.artifacts
    given, packed = (onnx.load(file).graph for file in (model / "model.onnx", bundle.entry(artifact)))
    scales = {tensor.name: tensor.SerializeToString() for tensor in given.initializer if "scale" in tensor.name}
    assert scales
    found = {tensor.name: tensor.SerializeToString() for tensor in packed.initializer}
    assert all(found.get(name) == value for name, value in scales.items())
