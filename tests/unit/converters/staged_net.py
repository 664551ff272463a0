"""A small detector in two stages, as Mask R-CNN is: features, then proposals, RoIAlign and a head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.unit.converters.networks import SIDE, finish

GRID = SIDE // 4
CHANNELS = 8
BOX = 12.0  # pixels
ENDS = ("features", "objectness")


def two_stage_net(seed: int = 0) -> onnx.ModelProto:
    """``image`` to ``detection_out`` ``(1, 1, n, 7)``, n depending on the picture; `ENDS` lie between the stages."""
    random = np.random.default_rng(seed)
    centres = np.stack(np.meshgrid(np.arange(GRID), np.arange(GRID), indexing="xy"), -1).reshape(-1, 2) * 4.0 + 2.0
    boxes = np.concatenate([centres - BOX / 2, centres + BOX / 2], 1).astype(np.float32)
    constants = {
        "w1": (random.standard_normal((CHANNELS, 3, 3, 3)) / 4).astype(np.float32),
        "w2": (random.standard_normal((1, CHANNELS, 1, 1)) * 2).astype(np.float32),
        "w3": (random.standard_normal((CHANNELS * 9, 1)) / 8).astype(np.float32),
        "boxes": boxes,
        "boxes_1": boxes[np.newaxis],
        "flat": np.array([1, 1, -1], np.int64),
        "most": np.array([20], np.int64),
        "iou": np.array([0.3], np.float32),
        "score": np.array([0.4], np.float32),
        "column": np.array(2, np.int64),
        "zero_like": np.array([0.0], np.float32),
        "side": np.array([SIDE], np.float32),
        "rows": np.array([1, 1, -1, 7], np.int64),
    }
    nodes = [
        helper.make_node("Conv", ["image", "w1"], ["a"], kernel_shape=[3, 3], pads=[1] * 4, strides=[4, 4]),
        helper.make_node("Relu", ["a"], ["features"]),
        helper.make_node("Conv", ["features", "w2"], ["objectness"], kernel_shape=[1, 1]),
        helper.make_node("Sigmoid", ["objectness"], ["p"]),
        helper.make_node("Reshape", ["p", "flat"], ["p_flat"]),
        helper.make_node("NonMaxSuppression", ["boxes_1", "p_flat", "most", "iou", "score"], ["selected"]),
        helper.make_node("Gather", ["selected", "column"], ["chosen"], axis=1),
        helper.make_node("Gather", ["boxes", "chosen"], ["rois"]),
        helper.make_node("Mul", ["chosen", "nothing"], ["batch"]),
        helper.make_node(
            "RoiAlign", ["features", "rois", "batch"], ["crops"], output_height=3, output_width=3, spatial_scale=0.25
        ),
        helper.make_node("Flatten", ["crops"], ["flat_crops"]),
        helper.make_node("Gemm", ["flat_crops", "w3"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["confidence"]),
        helper.make_node("Mul", ["confidence", "zero_like"], ["zeros"]),
        helper.make_node("Div", ["rois", "side"], ["relative"]),
        helper.make_node("Concat", ["zeros", "zeros", "confidence", "relative"], ["list"], axis=1),
        helper.make_node("Reshape", ["list", "rows"], ["detection_out"]),
    ]
    arrays = constants | {"nothing": np.array(0, np.int64)}
    return finish(
        nodes,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, SIDE, SIDE))],
        [helper.make_tensor_value_info("detection_out", TensorProto.FLOAT, (1, 1, "n", 7))],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in arrays.items()],
    )


def write_two_stages(folder: Path, *, ends: tuple[str, ...] = ENDS) -> Path:
    """A model directory for `two_stage_net`, cut at ``ends``."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(two_stage_net(), folder / "model.onnx")
    (folder / "model.toml").write_text(
        'name = "two-stages"\nversion = "1.0.0"\nlabels = ["vehicle"]\n'
        f"[input]\nwidth = {SIDE}\nheight = {SIDE}\nmean = [120.0]\nstd = [60.0]\n"
        '[output]\ndecoder = "ssd"\nscore = 0.4\n'
        f'[[stage]]\nname = "features"\nends = {list(ends)}\n'
        '[[stage]]\nname = "heads"\n'
    )
    return folder
