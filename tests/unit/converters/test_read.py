"""Every file that cannot be taken is refused with one sentence that says what was expected and what came."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from contracts.errors import ModelFileError
from converters.read import MAX_IR, input_name, opset, output_shapes, read_onnx
from converters.reference import run_onnx
from converters.source import source_digest
from tests.unit.converters.networks import SIDE, density_net, finish, input_spec

SPEC = input_spec()


def saved(folder: Path, model: onnx.ModelProto) -> Path:
    file = folder / "model.onnx"
    file.write_bytes(model.SerializeToString())
    return file


def two_inputs() -> onnx.ModelProto:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, SIDE, SIDE]) for name in ("image", "depth")]
    out = helper.make_tensor_value_info("sum", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    return finish([helper.make_node("Add", ["image", "depth"], ["sum"])], values, [out], [])


def open_output() -> onnx.ModelProto:
    """How many places are not zero depends on the picture."""
    value = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    out = helper.make_tensor_value_info("places", TensorProto.INT64, [4, "found"])
    return finish([helper.make_node("NonZero", ["image"], ["places"])], [value], [out], [])


def unknown_operator() -> onnx.ModelProto:
    value = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    return finish([helper.make_node("Frobnicate", ["image"], ["out"])], [value], [out], [])


def nhwc_input() -> onnx.ModelProto:
    value = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, SIDE, SIDE, 3])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, SIDE, SIDE, 3])
    return finish([helper.make_node("Relu", ["image"], ["out"])], [value], [out], [])


def half_input() -> onnx.ModelProto:
    value = helper.make_tensor_value_info("image", TensorProto.FLOAT16, [1, 3, SIDE, SIDE])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    return finish([helper.make_node("Cast", ["image"], ["out"], to=TensorProto.FLOAT)], [value], [out], [])


def without_nodes() -> onnx.ModelProto:
    model = density_net()
    del model.graph.node[:]
    return model


REFUSED: dict[str, tuple[Callable[[], onnx.ModelProto], dict[str, Any], str]] = {
    "other width": (density_net, {"width": 96}, "input 'image' has width 64, model.toml's width gives 96"),
    "other height": (density_net, {"height": 32}, "input 'image' has height 64, model.toml's height gives 32"),
    "gray": (density_net, {"color": "gray"}, "input 'image' has channels 3, model.toml's color 'gray' gives 1"),
    "batch": (lambda: density_net((4, 3, SIDE, SIDE)), {}, "has batch 4, edgetally runs one picture at a time"),
    "nhwc": (nhwc_input, {}, "expected input 'image' as NCHW with 3 channels second, got 1x64x64x3"),
    "open channels": (lambda: density_net((1, "colours", SIDE, SIDE)), {}, "channel dimension is open ('colours')"),
    "two inputs": (two_inputs, {}, "expected one input, the picture, got 2 (image, depth)"),
    "half": (half_input, {}, "expected input 'image' as float32, got float16"),
    "unknown operator": (unknown_operator, {}, "is not a valid ONNX model"),
    "no nodes": (without_nodes, {}, "it holds none"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_model_that_does_not_fit_is_refused_in_one_sentence(case: str, tmp_path: Path) -> None:
    make, changes, expected = REFUSED[case]
    with pytest.raises(ModelFileError, match=re.escape(expected)) as caught:
        read_onnx(saved(tmp_path, make()), input_spec(**changes))
    assert str(caught.value).startswith(str(tmp_path)), "the file is named first"
    assert "\n" not in str(caught.value)
    assert "; " in str(caught.value), "what to do is said"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "the file is empty"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "this is something else or damaged"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "this is something else or damaged"),
        (b"PK\x03\x04 a checkpoint of another framework", "this is something else or damaged"),
    ],
)
def test_a_file_that_is_no_onnx_is_refused(content: bytes, expected: str, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(content)
    with pytest.raises(ModelFileError, match=expected):
        read_onnx(file, SPEC)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="there is none; check the path"):
        read_onnx(tmp_path / "model.onnx", SPEC)


def test_missing_external_data_is_named(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    onnx.save(density_net(), file, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert read_onnx(file, SPEC).graph.node
    digest = source_digest(file)
    (tmp_path / "weights.bin").write_bytes((tmp_path / "weights.bin").read_bytes()[:-1] + b"\0")
    assert source_digest(file) != digest, "the weights belong to what the bundle was made from"
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ModelFileError, match=r"expected its weights in 'weights.bin' beside it"):
        read_onnx(file, SPEC)


def test_open_sizes_are_taken_from_model_toml(tmp_path: Path) -> None:
    file = saved(tmp_path, density_net(("batch", 3, "height", None)))
    model = read_onnx(file, SPEC)
    shape = [dimension.dim_value for dimension in model.graph.input[0].type.tensor_type.shape.dim]
    assert shape == [1, 3, SIDE, SIDE]
    assert output_shapes(file, model) == {"density": (1, 1, SIDE // 4, SIDE // 4)}


def test_an_output_whose_size_depends_on_the_picture_is_refused(tmp_path: Path) -> None:
    file = saved(tmp_path, open_output())
    model = read_onnx(file, SPEC)
    with pytest.raises(ModelFileError, match="output 'places' to have one size, its dimension 1 is open"):
        output_shapes(file, model)


def test_weights_listed_as_inputs_are_no_inputs(tmp_path: Path) -> None:
    old = density_net(opset=9, ir_version=3)
    for tensor in old.graph.initializer:
        old.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    model = read_onnx(saved(tmp_path, old), SPEC)
    assert [value.name for value in model.graph.input] == ["image"] == [input_name(model)]


@pytest.mark.parametrize(("came", "became"), [(9, 17), (11, 11), (17, 17), (21, 21), (22, 17)])
def test_opsets_are_converted_only_where_needed(came: int, became: int, tmp_path: Path) -> None:
    file = saved(tmp_path, density_net(opset=came))
    model = read_onnx(file, SPEC)
    assert opset(model) == became
    frame = np.random.default_rng(0).standard_normal((1, 3, SIDE, SIDE)).astype(np.float32)
    (before,), (after,) = (run_onnx(file, source, "image", [frame]) for source in (file, model.SerializeToString()))
    np.testing.assert_allclose(after["density"], before["density"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("version", [8, 10, 12])
def test_the_ir_version_is_one_that_old_runtimes_read(version: int, tmp_path: Path) -> None:
    assert read_onnx(saved(tmp_path, density_net(ir_version=version)), SPEC).ir_version <= MAX_IR


def test_contradicting_shapes_are_refused(tmp_path: Path) -> None:
    model = density_net()
    model.graph.output[0].type.tensor_type.shape.dim[2].dim_value = 5
    with pytest.raises(ModelFileError, match="is not a valid ONNX model"):
        read_onnx(saved(tmp_path, model), SPEC)


WHOLE = density_net().SerializeToString()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cut=st.integers(0, len(WHOLE)),
    flips=st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=4),
)
def test_damaged_bytes_give_a_model_or_a_sentence(cut: int, flips: list[tuple[int, int]], tmp_path: Path) -> None:
    damaged = bytearray(WHOLE)
    for place, value in flips:
        damaged[place] = value
    file = tmp_path / "model.onnx"
    file.write_bytes(bytes(damaged[:cut]) if not flips else bytes(damaged))
    sentence, model = "", None
    try:
        model = read_onnx(file, SPEC)
    except ModelFileError as error:
        sentence = str(error)
    assert model is None or len(model.graph.input) == 1
    assert "\n" not in sentence
