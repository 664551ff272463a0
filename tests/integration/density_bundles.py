"""Small bundles that really run, for tests of changing them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tests.fakes.bundles import entry, make_bundle
from tests.integration.test_swap import row, save_onnx

SIDE = 64
NAME = "any/fp32"


def density_bundle(root: Path, off: float = 0.0, *, side: int = SIDE, factor: float = 1.0, **changes: Any) -> Path:
    """One network on ONNX Runtime: the brightness of the picture, times a factor.

    Args:
        root: where it goes.
        off: how much more its reference gave for the golden sample.
        side: of the square picture that it takes; the sum does not change with it.
        factor: of its sum.
        changes: of the artifact.
    """
    import onnxruntime as ort

    weights = np.random.default_rng(1).random((1, 3, 4, 4)).astype(np.float32) / 255 * factor * (SIDE / side) ** 2
    nodes = [
        helper.make_node("Cast", ["image"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["f"], ["x"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["x", "w"], ["density"], strides=[4, 4]),
    ]
    file = root / f"artifacts/{NAME}/model.onnx"
    save_onnx(file, nodes, [numpy_helper.from_array(weights.astype(np.float32), "w")], side)
    rows = [row(root, NAME, "onnxruntime", side, [1, 1, side // 4, side // 4], "model.onnx") | changes]
    frame = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    np.save(root / "frame.npy", frame)
    np.savez(root / "expected.npz", density=session.run(None, {"image": frame[np.newaxis]})[0] + np.float32(off))
    golden = {
        "frame": entry(root, "golden/0.npy", (root / "frame.npy").read_bytes()),
        "expected": entry(root, "golden/0.npz", (root / "expected.npz").read_bytes()),
    }
    size = {"width": side, "height": side}
    model = {"name": "fake", "version": "1.0.0", "labels": ["vehicle"], "input": size, "output": {"decoder": "density"}}
    return make_bundle(root, rows, golden=[golden], model=model)
