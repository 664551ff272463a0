"""Dynamic INT8 for ONNX Runtime: products and LSTMs are rounded and run so, nothing else is, and its lack is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from contracts.errors import ArtifactError, ModelFileError
from contracts.facts import Requirement
from converters.fallback import check_executed
from converters.families import onnxruntime as family
from converters.families.base import Emitted, Job, Recipe
from converters.fold import fold
from runtime.backends.table import open_lane
from targets.load import load_target
from tests.unit.converters.networks import SIDE, finish
from tests.unit.converters.test_families import model_spec, onnx_job

FRAME = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE, 3), np.uint8)
KIND = {"int8": "u8u8"}


def products_net(alpha: float = 1.0) -> onnx.ModelProto:
    """A convolution into 64 patches, an LSTM over them, and three products, the last of which gives the density."""
    random = np.random.default_rng(1)

    def weights(name: str, *size: int) -> onnx.TensorProto:
        values = random.standard_normal(size) / np.sqrt(size[-1])
        return numpy_helper.from_array(values.astype(np.float32), name)

    def integers(name: str, *values: int) -> onnx.TensorProto:
        return numpy_helper.from_array(np.array(values), name)

    nodes = [
        helper.make_node("Conv", ["image", "patch"], ["a"], kernel_shape=[8, 8], strides=[8, 8], name="patches"),
        helper.make_node("Reshape", ["a", "of-patches"], ["b"]),
        helper.make_node("Transpose", ["b"], ["c"], perm=[2, 0, 1]),
        helper.make_node("LSTM", ["c", "w", "r"], ["d"], hidden_size=32, name="memory"),
        helper.make_node("Reshape", ["d", "flat"], ["e"]),
        helper.make_node("MatMul", ["e", "w1"], ["f"], name="one"),
        helper.make_node("Relu", ["f"], ["g"]),
        helper.make_node("Gemm", ["g", "w2", "b2"], ["h"], transB=1, alpha=alpha, name="two"),
        helper.make_node("Relu", ["h"], ["i"]),
        helper.make_node("MatMul", ["i", "w3"], ["j"], name="last"),
        helper.make_node("Reshape", ["j", "of-density"], ["density"]),
    ]
    constants = [
        *(weights("patch", 32, 3, 8, 8), weights("w", 1, 128, 32), weights("r", 1, 128, 32)),
        *(weights("w1", 32, 64), weights("w2", 64, 64), weights("b2", 64), weights("w3", 64, 4)),
        *(integers("of-patches", 1, 32, 64), integers("flat", 64, 32), integers("of-density", 1, 1, 16, 16)),
    ]
    shapes = {"image": [1, 3, SIDE, SIDE], "density": [1, 1, 16, 16]}
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    return finish(nodes, ends[:1], ends[1:], constants)


def job_of(folder: Path, model: onnx.ModelProto | None = None) -> Job:
    spec = model_spec()
    onnx.save(fold(model or products_net(), spec.input), folder / "folded.onnx")
    return Job(spec, folder / "model.onnx", folder / "folded.onnx", {}, folder, options=KIND)


def emit(job: Job, *kept_out: str) -> Emitted:
    folder = job.scratch / "out"
    folder.mkdir()
    return family.emit(job, Recipe("dynamic", kept_out=kept_out), folder)


@pytest.mark.parametrize(
    ("kept_out", "integer", "real"), [((), 3, 2), (("one",), 2, 3), (("memory", "two"), 1, 4)], ids=str
)
def test_products_and_lstms_run_in_int8_but_for_the_head_and_what_is_kept_out(
    kept_out: tuple[str, ...], integer: int, real: int, tmp_path: Path
) -> None:
    emitted = emit(job_of(tmp_path), *kept_out)
    assert family.executed(emitted, "f32") == {"int8": integer, "f32": real}
    assert emitted.precision == "dynamic"
    assert emitted.rounded
    assert "onnxruntime" in emitted.toolchain


def test_it_computes_nearly_what_fp32_does_without_calibration_pictures(tmp_path: Path) -> None:
    job = job_of(tmp_path)
    assert job.calibration is None
    emitted = emit(job)
    assert job.folded is not None
    exact = open_lane("onnxruntime", job.folded).infer({"image": FRAME})["density"].copy()
    came = open_lane("onnxruntime", emitted.entry).infer({"image": FRAME})["density"]
    assert 0 < np.abs(came - exact).max() < 0.05 * np.abs(exact).max()


def test_a_product_that_the_quantiser_would_leave_is_not_promised(tmp_path: Path) -> None:
    assert family.executed(emit(job_of(tmp_path, products_net(alpha=0.5))), "f32") == {"int8": 2, "f32": 3}


def test_a_model_of_convolutions_is_refused_with_the_reason(tmp_path: Path) -> None:
    job = replace(onnx_job(tmp_path), options=KIND)
    with pytest.raises(ModelFileError, match=r"quantises MatMul, Gemm, LSTM .* the model has none .* choose int8"):
        family.precisions(job, ("dynamic",))
    assert family.precisions(job, ("int8", "fp32", "dynamic")) == ("int8", "fp32"), "not where others are wanted too"
    assert family.precisions(job_of(tmp_path), ("int8", "fp32", "dynamic")) == ("int8", "fp32", "dynamic")


def test_when_all_is_kept_out_there_is_nothing_to_make(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="all 3 layers are kept out of dynamic INT8; choose fp32"):
        emit(job_of(tmp_path), "memory", "one", "two")


def test_a_file_that_runs_in_float_alone_is_found_out(tmp_path: Path) -> None:
    emitted = emit(job_of(tmp_path))
    fell_back = replace(emitted, stand_in=job_of(tmp_path).folded)
    with pytest.raises(ArtifactError, match="0 of 5 layers ran in int8"):
        check_executed("x", "dynamic", family.executed(fell_back, "f32"))


@pytest.mark.parametrize("kind", ["u8s8", "u8u8"])
def test_what_would_overflow_without_vnni_asks_for_it(kind: str, tmp_path: Path) -> None:
    emitted = emit(replace(job_of(tmp_path), options={"int8": kind}))
    wanted = Requirement(fact="cpu.isa", has_any=("avx512_vnni", "avx_vnni", "amx_int8"))
    assert (wanted in emitted.floors) is (kind == "u8s8")


@pytest.mark.parametrize("target", ["x86-onnxruntime", "arm64-onnxruntime"])
def test_the_targets_offer_it_after_what_is_surely_fast(target: str) -> None:
    assert load_target(target).precisions[-1] == "dynamic"


def test_a_model_that_came_quantised_is_not_quantised_again(tmp_path: Path) -> None:
    job = replace(job_of(tmp_path), quantised=True)
    assert family.precisions(job, ("int8", "fp32", "dynamic")) == ("int8",)
