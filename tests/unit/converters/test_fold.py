"""The folded graph computes what NumPy computes, for every colour, mean and standard deviation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper

from contracts.model_spec import InputSpec
from converters.fold import PREFIX, fold
from converters.reference import prepared, run_onnx
from tests.unit.converters.networks import density_net, finish, identity_net, input_spec

ANYWHERE = Path("model.onnx")
FRAME = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(1, 8, 8, 3)


def through_graph(spec: InputSpec, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    folded = fold(identity_net(spec), spec)
    onnx.checker.check_model(folded, full_check=True)
    (outputs,) = run_onnx(ANYWHERE, folded.SerializeToString(), "image", [frame])
    return outputs["same"]


@st.composite
def specs(draw: st.DrawFn) -> InputSpec:
    color = draw(st.sampled_from(["rgb", "bgr", "gray"]))
    sizes = st.sampled_from([1, 1 if color == "gray" else 3])
    values: dict[str, Any] = {
        "width": draw(st.integers(8, 24)),
        "height": draw(st.integers(8, 24)),
        "color": color,
        "mean": draw(st.lists(st.floats(0, 255, width=32), min_size=(n := draw(sizes)), max_size=n)),
        "std": draw(st.lists(st.floats(0.5, 255, width=32), min_size=(n := draw(sizes)), max_size=n)),
        "resize": draw(st.sampled_from(["stretch", "letterbox", "letterbox-topleft"])),
    }
    return InputSpec.model_validate(values)


@settings(max_examples=60, deadline=None)
@given(specs(), st.integers(0, 2**32 - 1))
def test_the_graph_prepares_as_numpy_does(spec: InputSpec, seed: int) -> None:
    frame = np.random.default_rng(seed).integers(0, 256, (1, spec.height, spec.width, 3), np.uint8)
    expected = prepared(frame, spec)
    assert expected.shape == (1, spec.channels, spec.height, spec.width)
    np.testing.assert_allclose(through_graph(spec, frame), expected, rtol=1e-5, atol=255e-5 / min(spec.std))


@pytest.mark.parametrize(("color", "blue", "green", "red"), [("bgr", 0, 1, 2), ("rgb", 2, 1, 0)], ids=str)
def test_channels_come_in_the_order_that_is_asked_for(color: str, blue: int, green: int, red: int) -> None:
    frame = np.zeros((1, 8, 8, 3), np.uint8)
    frame[..., 0], frame[..., 1], frame[..., 2] = 10, 20, 30
    planes = through_graph(input_spec(width=8, height=8, color=color), frame)[0, :, 0, 0]
    assert (planes[blue], planes[green], planes[red]) == (10, 20, 30)


def test_gray_is_bt601_luma() -> None:
    frame = np.zeros((1, 8, 8, 3), np.uint8)
    frame[..., 2] = 200  # pure red
    gray = through_graph(input_spec(width=8, height=8, color="gray"), frame)
    assert gray.shape == (1, 1, 8, 8)
    assert gray.max() == pytest.approx(0.299 * 200, rel=1e-6)


@pytest.mark.parametrize(
    ("changes", "operators"),
    [
        ({}, ["Transpose", "Cast"]),
        ({"color": "rgb"}, ["Transpose", "Gather", "Cast"]),
        ({"mean": [1.0]}, ["Transpose", "Cast", "Sub"]),
        ({"std": [2.0]}, ["Transpose", "Cast", "Div"]),
        ({"color": "gray", "mean": [1.0], "std": [2.0]}, ["Transpose", "Cast", "Conv", "Sub", "Div"]),
    ],
)
def test_steps_that_change_nothing_are_left_out(changes: dict[str, Any], operators: list[str]) -> None:
    spec = input_spec(width=8, height=8, **changes)
    folded = fold(identity_net(spec), spec)
    assert [node.op_type for node in folded.graph.node if node.name.startswith(PREFIX)] == operators


def test_the_input_keeps_its_name_and_the_outputs_stay() -> None:
    model = density_net()
    folded = fold(model, input_spec())
    (value,) = folded.graph.input
    assert value.name == "image"
    assert [dimension.dim_value for dimension in value.type.tensor_type.shape.dim] == [1, 64, 64, 3]
    assert value.type.tensor_type.elem_type == TensorProto.UINT8
    assert list(folded.graph.output) == list(model.graph.output)
    assert model.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT, "the model given is not changed"


def test_the_body_of_an_if_reads_the_prepared_picture_too() -> None:
    spec = input_spec(width=8, height=8, mean=[7.0])
    value = helper.make_tensor_value_info("same", TensorProto.FLOAT, [1, 3, 8, 8])
    body = [
        helper.make_graph(
            [helper.make_node("Identity", ["image"], [name])],
            name,
            [],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 8, 8])],
        )
        for name in ("yes", "no")
    ]
    model = finish(
        [helper.make_node("If", ["always"], ["same"], then_branch=body[0], else_branch=body[1])],
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])],
        [value],
        [helper.make_tensor("always", TensorProto.BOOL, [], [True])],
    )
    (outputs,) = run_onnx(ANYWHERE, fold(model, spec).SerializeToString(), "image", [FRAME])
    np.testing.assert_allclose(outputs["same"], prepared(FRAME, spec))
