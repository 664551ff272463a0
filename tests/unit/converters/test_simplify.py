"""A simplifier that crashes, hangs or changes what the network computes costs a warning and nothing else."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from converters.reference import run_onnx
from converters.simplify import simplify
from runtime.results import Array, Tensors
from tests.unit.converters.networks import SIDE, density_net

FILE = Path("model.onnx")
INPUTS: list[Array] = [
    np.random.default_rng(seed).standard_normal((1, 3, SIDE, SIDE)).astype(np.float32) for seed in range(2)
]


def reference(model: onnx.ModelProto) -> list[Tensors]:
    return run_onnx(FILE, model.SerializeToString(), "image", INPUTS)


def test_batch_norm_is_fused_and_the_outputs_stay() -> None:
    model = density_net()
    simplified, warning = simplify(FILE, model, INPUTS, reference(model))
    assert warning is None
    assert len(simplified.graph.node) < len(model.graph.node)
    for after, before in zip(reference(simplified), reference(model), strict=True):
        np.testing.assert_allclose(after["density"], before["density"], rtol=1e-4, atol=1e-5)


def wrong_weights(folder: Path) -> None:
    model = onnx.load(folder / "before.onnx")
    weights = numpy_helper.to_array(model.graph.initializer[0])
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights * np.float32(1.01), "w1"))
    onnx.save(model, folder / "after.onnx")


def other_output(folder: Path) -> None:
    model = onnx.load(folder / "before.onnx")
    model.graph.node[-1].output[0] = model.graph.output[0].name = "renamed"
    onnx.save(model, folder / "after.onnx")


def no_model(folder: Path) -> None:
    (folder / "after.onnx").write_bytes(b"not a model")


def nothing(folder: Path) -> None:
    del folder


@pytest.mark.parametrize(
    ("written", "returncode", "expected"),
    [
        (wrong_weights, 0, "its output 'density' changed by"),
        (other_output, 0, "onnxslim changed the outputs"),
        (no_model, 0, "onnxslim wrote an invalid model"),
        (nothing, 0, "onnxslim ended with 0"),
        (nothing, -11, "onnxslim ended with -11 Segmentation fault"),
    ],
)
def test_a_result_that_cannot_be_used_is_a_warning(
    written: Callable[[Path], None], returncode: int, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(command: list[str], **_options: object) -> subprocess.CompletedProcess[bytes]:
        written(Path(command[-1]).parent)
        return subprocess.CompletedProcess(command, returncode, b"", b"Segmentation fault\n")

    monkeypatch.setattr(subprocess, "run", run)
    model = density_net()
    kept, warning = simplify(FILE, model, INPUTS, reference(model))
    assert kept is model
    assert warning is not None
    assert warning.startswith(f"model.onnx: the graph was left unsimplified: {expected}")


def test_a_simplifier_that_hangs_is_ended() -> None:
    model = density_net()
    kept, warning = simplify(FILE, model, INPUTS, reference(model), time_limit_s=0.01)
    assert kept is model
    assert warning == "model.onnx: the graph was left unsimplified: onnxslim took more than 0.01 s"
