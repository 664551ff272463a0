"""What each family writes can be read back, is reproducible, and says what it needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino as ov
import pytest

from contracts.errors import ModelFileError
from contracts.facts import Requirement
from contracts.model_spec import ModelSpec
from converters.artifacts import required
from converters.families import onnxruntime as onnx_family
from converters.families import openvino as openvino_family
from converters.families.base import Job, Recipe
from converters.fold import fold
from converters.ir import check_ir, element_precision, read_ir, run_ir
from converters.reference import prepared
from converters.table import missing_package, open_family
from runtime.backends.table import open_lane
from tests.unit.converters.networks import SIDE, density_net, identity_net

FRAME = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE, 3), np.uint8)


def model_spec(**changes: Any) -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "name": "tiny",
            "version": "1.0.0",
            "labels": ["vehicle"],
            "input": {"width": SIDE, "height": SIDE, "color": "rgb", "mean": [120.0], "std": [60.0]} | changes,
            "output": {"decoder": "density"},
        }
    )


def onnx_job(folder: Path, model: onnx.ModelProto | None = None) -> Job:
    spec = model_spec()
    path = folder / "folded.onnx"
    onnx.save(fold(model or density_net(), spec.input), path)
    return Job(spec, folder / "model.onnx", path, {"model": "tiny 1.0.0"}, folder)


def ir_job(folder: Path, model: onnx.ModelProto, *, half: bool = False, **changes: Any) -> Job:
    """An OpenVINO IR as somebody else exported it: float32 NCHW in."""
    source = folder / "model.xml"
    onnx.save(model, folder / "float.onnx")
    ov.save_model(ov.Core().read_model(folder / "float.onnx"), source, compress_to_fp16=half)
    return Job(model_spec(**changes), source, None, {}, folder)


@pytest.mark.parametrize(("family", "precision"), [("onnxruntime", "fp32"), ("openvino", "fp32"), ("openvino", "fp16")])
def test_the_same_model_gives_the_same_bytes(family: str, precision: str, tmp_path: Path) -> None:
    job = onnx_job(tmp_path)
    written = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        emitted = open_family(family).emit(job, Recipe(precision), tmp_path / name)
        written.append({file.name: file.read_bytes() for file in emitted.entry.parent.iterdir()})
    assert written[0] == written[1]


@pytest.mark.parametrize("family", ["onnxruntime", "openvino"])
def test_inputs_and_outputs_are_described(family: str, tmp_path: Path) -> None:
    emitted = open_family(family).emit(onnx_job(tmp_path), Recipe("fp32"), tmp_path)
    (frame,), (density,) = emitted.inputs, emitted.outputs
    assert (frame.name, frame.dtype, frame.shape) == ("image", "uint8", (1, SIDE, SIDE, 3))
    assert (density.name, density.dtype, density.shape) == ("density", "float32", (1, 1, SIDE // 4, SIDE // 4))


def test_half_the_weights_bytes_stay_in_fp16(tmp_path: Path) -> None:
    sizes = {}
    for precision in ("fp32", "fp16"):
        (tmp_path / precision).mkdir()
        emitted = openvino_family.emit(onnx_job(tmp_path), Recipe(precision), tmp_path / precision)
        assert emitted.rounded is (precision == "fp16")
        assert element_precision(read_ir(emitted.entry)) == precision
        sizes[precision] = emitted.entry.with_suffix(".bin").stat().st_size
    assert sizes["fp16"] < 0.7 * sizes["fp32"]


def test_the_origin_is_written_into_the_ir(tmp_path: Path) -> None:
    emitted = openvino_family.emit(onnx_job(tmp_path), Recipe("fp32"), tmp_path)
    assert read_ir(emitted.entry).get_rt_info(["edgetally", "model"]).astype(str) == "tiny 1.0.0"


@pytest.mark.parametrize(("opset", "ir_version", "floor"), [(13, 7, "1.6"), (17, 8, "1.12"), (21, 10, "1.18")])
def test_an_onnx_file_asks_for_the_runtime_that_reads_it(
    opset: int, ir_version: int, floor: str, tmp_path: Path
) -> None:
    emitted = onnx_family.emit(
        onnx_job(tmp_path, density_net(opset=opset, ir_version=ir_version)), Recipe("fp32"), tmp_path
    )
    (requirement,) = required((), emitted.floors)
    assert requirement == Requirement(fact="runtime.onnxruntime", at_least=floor)


def test_an_ir_asks_for_the_openvino_that_reads_its_operators(tmp_path: Path) -> None:
    emitted = openvino_family.emit(onnx_job(tmp_path), Recipe("fp32"), tmp_path)
    assert emitted.floors == (Requirement(fact="runtime.openvino", at_least="2022.3"),)


def test_the_higher_floor_wins_and_other_requirements_stay() -> None:
    arch = Requirement(fact="arch", equals="x86_64")
    low, high = (Requirement(fact="runtime.openvino", at_least=version) for version in ("2024.5", "2025.0"))
    assert required((arch, high), (low,)) == (arch, high)
    assert required((arch, low), (high,)) == (arch, high)


class TestIr:
    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"color": "bgr", "mean": [0.0], "std": [1.0]},
            {"mean": [10.0, 20.0, 30.0], "std": [1.0, 2.0, 3.0]},
            {"color": "bgr", "mean": [10.0, 20.0, 30.0]},
            {"color": "gray", "mean": [3.0], "std": [5.0]},
        ],
        ids=str,
    )
    def test_preparation_is_put_before_it(self, changes: dict[str, Any], tmp_path: Path) -> None:
        spec = model_spec(**changes).input
        job = ir_job(tmp_path, identity_net(spec), **changes)
        (tmp_path / "out").mkdir()
        emitted = openvino_family.emit(job, Recipe("fp32"), tmp_path / "out")
        outputs = open_lane("openvino", emitted.entry).infer({"image": FRAME})
        np.testing.assert_allclose(outputs["same"], prepared(FRAME, spec), rtol=1e-5, atol=1e-4)

    @pytest.mark.parametrize(("half", "precision"), [(False, "fp32"), (True, "fp16")])
    def test_its_precision_is_what_it_holds_whatever_is_wanted(
        self, half: bool, precision: str, tmp_path: Path
    ) -> None:
        job = ir_job(tmp_path, density_net(), half=half)
        assert openvino_family.precisions(job, ("fp32", "fp16")) == (precision,)
        (tmp_path / "out").mkdir()
        emitted = openvino_family.emit(job, Recipe(precision), tmp_path / "out")
        assert emitted.rounded is False
        assert element_precision(read_ir(emitted.entry)) == precision

    def test_onnx_runtime_refuses_it_with_the_reason(self, tmp_path: Path) -> None:
        with pytest.raises(ModelFileError, match=r"ONNX Runtime takes ONNX files, got \.xml, .* its own runtime only"):
            onnx_family.precisions(ir_job(tmp_path, density_net()), ("fp32",))

    def test_it_is_checked_against_model_toml(self, tmp_path: Path) -> None:
        job = ir_job(tmp_path, density_net())
        model = read_ir(job.source)
        assert check_ir(job.source, model, job.spec.input) == "image"
        assert run_ir(job.source, model, [prepared(FRAME, job.spec.input)])[0]["density"].shape == (1, 1, 16, 16)
        with pytest.raises(ModelFileError, match=r"input 'image' has width 64, model\.toml's width gives 96"):
            check_ir(job.source, model, model_spec(width=96).input)

    @pytest.mark.parametrize("part", [".xml", ".bin"])
    def test_a_missing_empty_or_damaged_part_is_named(self, part: str, tmp_path: Path) -> None:
        source = ir_job(tmp_path, density_net()).source
        content = source.with_suffix(part).read_bytes()
        source.with_suffix(part).write_bytes(b"")
        with pytest.raises(ModelFileError, match="OpenVINO does not read it"):
            read_ir(source)
        source.with_suffix(part).write_bytes(content[: len(content) // 3])
        with pytest.raises(ModelFileError, match="OpenVINO does not read it"):
            read_ir(source)
        source.with_suffix(part).unlink()
        with pytest.raises(
            ModelFileError, match=rf"model\{part}: expected an OpenVINO IR .*there is none; copy both files"
        ):
            read_ir(source)


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_a_missing_package_is_named_without_importing_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing_package(name) is None
    monkeypatch.setattr("importlib.util.find_spec", lambda package: None if package == name else object())
    assert missing_package(name) == name
