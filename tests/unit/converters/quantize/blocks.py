"""Small networks with the shapes of block that a quantiser has to tell apart, folded and with calibration pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from converters.fold import fold
from converters.reference import run_onnx
from tests.unit.converters.networks import SIDE, finish, input_spec

SPEC = input_spec(color="rgb", mean=[123.0, 116.0, 103.0], std=[58.0, 57.0, 57.0])
PICTURES = np.random.default_rng(1).integers(0, 256, (6, SIDE, SIDE, 3), np.uint8)


def block_net(*, opset: int = 17, seed: int = 0, gain: float = 1.0) -> onnx.ModelProto:
    """``image`` to ``density`` ``(1, 1, 16, 16)`` and ``classes`` ``(1, 4)``.

    A stem, a residual block, squeeze-and-excite, a pool with a concatenation, an upsampling convolution with its
    downsampling one, a Resize, and two heads, one of them a Gemm. ``gain`` multiplies the stem's weights.
    """
    random = np.random.default_rng(seed)
    constants: list[onnx.TensorProto] = []

    def weights(name: str, *size: int, factor: float = 1.0) -> str:
        values = random.standard_normal(size) * factor / np.sqrt(np.prod(size[1:]) or 1)
        constants.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def conv(
        name: str, source: str, out: int, into: int, kernel: int = 3, stride: int = 1, factor: float = 1.0
    ) -> onnx.NodeProto:
        names = [weights(f"{name}_w", out, into, kernel, kernel, factor=factor), weights(f"{name}_b", out)]
        pads = [kernel // 2] * 4
        return helper.make_node("Conv", [source, *names], [name], name=name, pads=pads, strides=[stride] * 2)

    constants.append(numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales"))
    constants.append(numpy_helper.from_array(np.zeros(0, np.float32), "roi"))  # may be left out from opset 13 on
    nodes = [
        conv("stem", "image", 8, 3, stride=2, factor=gain),
        helper.make_node("Relu", ["stem"], ["stem_relu"], name="stem_relu"),
        conv("first", "stem_relu", 8, 8),
        helper.make_node("Relu", ["first"], ["first_relu"], name="first_relu"),
        conv("second", "first_relu", 8, 8),
        helper.make_node("Add", ["second", "stem_relu"], ["residual"], name="residual"),
        helper.make_node("Relu", ["residual"], ["residual_relu"], name="residual_relu"),
        helper.make_node("GlobalAveragePool", ["residual_relu"], ["pooled"], name="pooled"),
        conv("squeeze", "pooled", 8, 8, kernel=1),
        helper.make_node("Sigmoid", ["squeeze"], ["gate"], name="gate"),
        helper.make_node("Mul", ["residual_relu", "gate"], ["gated"], name="gated"),
        helper.make_node("MaxPool", ["gated"], ["small"], name="small", kernel_shape=[2, 2], strides=[2, 2]),
        conv("down", "gated", 8, 8, stride=2),
        helper.make_node("Concat", ["small", "down"], ["both"], name="both", axis=1),
        helper.make_node(
            "ConvTranspose",
            ["both", weights("up_w", 16, 4, 2, 2), weights("up_b", 4)],
            ["up"],
            name="up",
            strides=[2, 2],
        ),
        conv("again", "up", 8, 4, stride=2),
        helper.make_node("Resize", ["again", "roi", "scales"], ["large"], name="large", mode="nearest"),
        conv("head", "large", 1, 8, stride=2),
        helper.make_node("Abs", ["head"], ["density"], name="density_abs"),
        helper.make_node("GlobalAveragePool", ["again"], ["vector"], name="vector"),
        helper.make_node("Flatten", ["vector"], ["flat"], name="flat"),
        helper.make_node("Gemm", ["flat", weights("fc_w", 8, 16), weights("fc_b", 16)], ["hidden"], name="hidden"),
        helper.make_node("MatMul", ["hidden", weights("last_w", 16, 4)], ["classes"], name="classes"),
    ]
    outputs = [("density", [1, 1, SIDE // 4, SIDE // 4]), ("classes", [1, 4])]
    return finish(
        nodes,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs],
        constants,
        opset=opset,
    )


def folded_net(**changes: object) -> onnx.ModelProto:
    """`block_net` with its preparation folded in; uint8 in."""
    return fold(block_net(**changes), SPEC)  # type: ignore[arg-type] # the caller's business


def written(folder: Path, model: onnx.ModelProto, pictures: NDArray[np.uint8] = PICTURES) -> tuple[Path, Path]:
    """The model and its calibration pictures as files."""
    onnx.save(model, folder / "folded.onnx")
    np.save(folder / "calibration.npy", pictures)
    return folder / "folded.onnx", folder / "calibration.npy"


def run(model: onnx.ModelProto, frames: NDArray[np.uint8] = PICTURES) -> list[dict[str, NDArray[np.float32]]]:
    """The model's outputs for each picture; as float32 where it takes that."""
    value = model.graph.input[0]
    is_float = value.type.tensor_type.elem_type == TensorProto.FLOAT
    inputs = [frame[None].astype(np.float32) if is_float else frame[None] for frame in frames]
    results = run_onnx(Path("model.onnx"), model.SerializeToString(), value.name, inputs)
    return [{name: np.asarray(array) for name, array in result.items()} for result in results]


def difference(model: onnx.ModelProto, other: onnx.ModelProto) -> float:
    """The largest difference of any output over all pictures, as a share of that output's largest value."""
    one, two = run(model), run(other)
    shares = []
    for name in one[0]:
        values, others = (np.concatenate([result[name] for result in results]) for results in (one, two))
        assert values.any(), f"{name} is 0 throughout: nothing would be compared"
        shares.append(float(np.abs(values - others).max() / np.abs(values).max()))
    return max(shares)
