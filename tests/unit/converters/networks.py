"""Networks small enough to convert in a blink, and model directories around them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from contracts.model_spec import InputSpec

SIDE = 64


def input_spec(**changes: Any) -> InputSpec:
    """A 64x64 input with everything at its default but the changes."""
    return InputSpec.model_validate({"width": SIDE, "height": SIDE} | changes)


def density_net(
    shape: Sequence[int | str | None] = (1, 3, SIDE, SIDE),
    *,
    channels: int = 3,
    opset: int = 17,
    ir_version: int = 8,
    seed: int = 0,
) -> onnx.ModelProto:
    """Conv, batch norm, ReLU, Conv, ReLU: ``image`` to ``density`` at a quarter of the size; not negative."""
    random = np.random.default_rng(seed)

    def weights(name: str, *size: int) -> onnx.TensorProto:
        return numpy_helper.from_array((random.standard_normal(size) / 8).astype(np.float32), name)

    constants = [
        weights("w1", 8, channels, 3, 3),
        weights("w2", 1, 8, 3, 3),
        *(numpy_helper.from_array(np.ones(8, np.float32), name) for name in ("scale", "variance")),
        *(weights(name, 8) for name in ("bias", "centre")),
        numpy_helper.from_array(np.full(1, 0.5, np.float32), "b2"),  # so that most places are above 0
    ]
    nodes = [
        helper.make_node("Conv", ["image", "w1"], ["a"], kernel_shape=[3, 3], pads=[1] * 4, strides=[2, 2]),
        helper.make_node("BatchNormalization", ["a", "scale", "bias", "centre", "variance"], ["b"]),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Conv", ["c", "w2", "b2"], ["d"], kernel_shape=[3, 3], pads=[1] * 4, strides=[2, 2]),
        helper.make_node("Relu", ["d"], ["density"]),
    ]
    fixed = all(isinstance(size, int) for size in shape)
    out = [shape[0], 1, SIDE // 4, SIDE // 4] if fixed else [None] * 4
    return finish(
        nodes,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("density", TensorProto.FLOAT, out)],
        constants,
        opset=opset,
        ir_version=ir_version,
    )


def focus_net(seed: int = 0) -> onnx.ModelProto:
    """Every second row and column as channels of their own, as YOLOX begins, then Conv and ReLU: ``density``."""
    random = np.random.default_rng(seed)
    constants = [
        numpy_helper.from_array((random.standard_normal((1, 12, 3, 3)) / 8).astype(np.float32), "w"),
        numpy_helper.from_array(np.full(1, 8.0, np.float32), "b"),
        numpy_helper.from_array(np.array([SIDE, SIDE], np.int64), "ends"),
        numpy_helper.from_array(np.array([2, 3], np.int64), "axes"),
        numpy_helper.from_array(np.array([2, 2], np.int64), "steps"),
    ]
    nodes = []
    for number, (column, row) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):  # YOLOX's order
        constants.append(numpy_helper.from_array(np.array([row, column], np.int64), f"start{number}"))
        inputs = ["image", f"start{number}", "ends", "axes", "steps"]
        nodes.append(helper.make_node("Slice", inputs, [f"part{number}"], name=f"slice{number}"))
    nodes += [
        helper.make_node("Concat", [f"part{number}" for number in range(4)], ["parts"], name="concat", axis=1),
        helper.make_node("Conv", ["parts", "w", "b"], ["c"], name="conv", kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["density"], name="relu"),
    ]
    return finish(
        nodes,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("density", TensorProto.FLOAT, [1, 1, SIDE // 2, SIDE // 2])],
        constants,
    )


def identity_net(spec: InputSpec) -> onnx.ModelProto:
    """Gives back what the network takes: for seeing what preparation yields."""
    shape = [1, spec.channels, spec.height, spec.width]
    return finish(
        [helper.make_node("Identity", ["image"], ["same"])],
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("same", TensorProto.FLOAT, shape)],
        [],
    )


def finish(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    constants: list[onnx.TensorProto],
    *,
    opset: int = 17,
    ir_version: int = 8,
) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], producer_name="tests")
    model.ir_version = ir_version
    return model


def write_model_dir(folder: Path, model: onnx.ModelProto | None = None, **changes: Any) -> Path:
    """A model directory for `density_net`; the changes go into ``[input]``."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model or density_net(), folder / "model.onnx")
    settings = {"width": SIDE, "height": SIDE, "color": '"rgb"', "mean": [120.0], "std": [60.0]} | changes
    lines = [f"{key} = {value}" for key, value in settings.items()]
    text = 'name = "tiny"\nversion = "1.0.0"\nlabels = ["vehicle"]\n[input]\n' + "\n".join(lines)
    (folder / "model.toml").write_text(text + '\n[output]\ndecoder = "density"\n')
    return folder
