"""What is made for TensorRT is taken by NVIDIA's own parser and builder, which run here without a GPU."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import get_args

import numpy as np
import onnx
import pytest
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

from contracts.engine_recipe import EngineRecipe, Generation
from contracts.errors import DocumentError, ModelFileError
from contracts.facts import Requirement
from converters.families import tensorrt, tensorrt_rtx
from converters.families.base import Job, Recipe
from converters.fold import fold
from converters.nvidia import parser
from converters.nvidia.generations import GENERATIONS
from converters.nvidia.making import cast_first
from converters.quantize.placement import quantised_nodes
from converters.quantize.recognise import refusal
from converters.read import read_onnx
from runtime.backends.table import open_lane
from runtime.model_dir import read_model_dir
from runtime.pictures import read_picture_scaled
from runtime.prepare import Preparer
from tests.data import data_dir
from tests.unit.converters.nvidia.jobs import nvidia_job
from tests.unit.converters.quantize.blocks import PICTURES, folded_net
from tests.unit.converters.quantize.test_placement import LAYERS

ROOT = Path(__file__).parents[2]
INT8 = Recipe("int8", "minmax")
STRONG = [name for name, rules in GENERATIONS.items() if rules.strongly_typed]
WEAK = [name for name in GENERATIONS if name not in STRONG]

if not parser.is_installed():
    if os.environ.get("CI") == "true":
        pytest.fail("TensorRT for RTX is not installed; pip install 'edgetally[tensorrt-rtx]'", pytrace=False)
    pytest.skip("TensorRT for RTX is not installed", allow_module_level=True)


def emitted_to(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


@pytest.mark.parametrize("generation", get_args(Generation))
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_every_generation_s_onnx_is_parsed_and_built_in_the_types_that_are_meant(
    generation: Generation, precision: str, tmp_path: Path
) -> None:
    job = nvidia_job(tmp_path, {"generation": generation})
    recipe = INT8 if precision == "int8" else Recipe(precision)
    if GENERATIONS[generation].no_int8 and precision == "int8":
        with pytest.raises(ModelFileError, match=r"Jetson Nano .compute capability 5.3.* has no int8 arithmetic"):
            tensorrt.emit(job, recipe, emitted_to(tmp_path, "out"))
        return
    emitted = tensorrt.emit(job, recipe, emitted_to(tmp_path, "out"))
    layers = tensorrt.executed(emitted, "f32")
    others = 10 - len(LAYERS)
    if generation in STRONG:
        wanted = {"fp32": {"f32": 10}, "fp16": {"f16": 10}, "int8": {"int8": len(LAYERS), "f16": others}}
        assert layers == wanted[precision]
    else:
        assert layers == {"fp32": {"f32": 10}, "fp16": None, "int8": {"int8": len(LAYERS)}}[precision]
    assert "tensorrt-rtx" in emitted.toolchain
    assert emitted.warnings == ()
    recipe_file = EngineRecipe.model_validate_json((emitted.entry.parent / "recipe.json").read_bytes())
    assert recipe_file.strongly_typed is (generation in STRONG)
    assert recipe_file.flags == (() if generation in STRONG else tensorrt._FLAGS[recipe_file.precision])
    assert recipe_file.inputs == emitted.inputs
    assert emitted.inputs[0].dtype == ("float32" if generation == "8.2" else "uint8")
    assert recipe_file.expected.int8 == (3 if precision == "int8" else 0)
    assert recipe_file.expected.total == 10
    levels = {variant.builder_optimization_level for variant in recipe_file.low_memory}
    assert (levels == {None}) == (generation in {"8.2", "8.5"}), "the builder has one from 8.6 on"


@pytest.mark.parametrize("generation", ["8.2", "8.5", "11"])
@pytest.mark.parametrize(("recipe", "most"), [(Recipe("fp32"), 1e-5), (Recipe("fp16"), 0.01), (INT8, 0.3)], ids=str)
def test_what_stands_in_on_this_host_says_nearly_the_same(
    generation: str, recipe: Recipe, most: float, tmp_path: Path
) -> None:
    if generation == "8.2" and recipe.precision == "int8":
        return
    job = nvidia_job(tmp_path, {"generation": generation})
    emitted = tensorrt.emit(job, recipe, emitted_to(tmp_path, "out"))
    assert job.folded is not None
    wanted = open_lane("onnxruntime", job.folded).infer({"image": PICTURES[:1]})["density"].copy()
    came = open_lane("onnxruntime", emitted.stand_in or emitted.entry).infer({"image": PICTURES[:1]})["density"]
    assert np.abs(came - wanted).max() <= most * np.abs(wanted).max()
    if recipe.precision != "fp32":
        assert (came != wanted).any(), "otherwise it is not what it says"


def test_layers_kept_out_are_not_int8(tmp_path: Path) -> None:
    job = nvidia_job(tmp_path, {"generation": "11"})
    emitted = tensorrt.emit(job, Recipe("int8", "minmax", ("stem", "up")), emitted_to(tmp_path, "out"))
    assert tensorrt.executed(emitted, "f32") == {"int8": len(LAYERS) - 2, "f16": 5}


def test_an_artifact_of_int8_in_which_nothing_is_int8_is_refused(tmp_path: Path) -> None:
    job = nvidia_job(tmp_path, {"generation": "11"})
    with pytest.raises(ModelFileError, match="0 of 10 convolutions and products are int8 in NVIDIA's network"):
        tensorrt.emit(job, Recipe("int8", "minmax", LAYERS), emitted_to(tmp_path, "out"))


def test_values_beyond_fp16_stay_in_fp32_and_are_named(tmp_path: Path) -> None:
    loud = fold(onnx.load(written_loud(tmp_path)), nvidia_job(tmp_path, {}).spec.input)
    strong = tensorrt.emit(nvidia_job(tmp_path, {"generation": "11"}, loud), Recipe("fp16"), emitted_to(tmp_path, "a"))
    layers = tensorrt.executed(strong, "f32")
    assert layers is not None
    assert layers["f32"] > 0
    assert any("stay in FP32: stem" in text for text in strong.warnings)
    weak = tensorrt.emit(nvidia_job(tmp_path, {"generation": "8.6"}, loud), Recipe("fp16"), emitted_to(tmp_path, "b"))
    assert "stem" in EngineRecipe.model_validate_json((weak.entry.parent / "recipe.json").read_bytes()).float_layers


def written_loud(folder: Path) -> Path:
    from tests.unit.converters.quantize.blocks import block_net

    onnx.save(block_net(gain=1e5), folder / "loud.onnx")
    return folder / "loud.onnx"


def test_without_pictures_int8_is_refused_and_fp16_warns(tmp_path: Path) -> None:
    job = nvidia_job(tmp_path, {"generation": "11"}, calibrated=False)
    with pytest.raises(ModelFileError, match="INT8 needs calibration pictures; give --calibration"):
        tensorrt.emit(job, INT8, emitted_to(tmp_path, "a"))
    emitted = tensorrt.emit(job, Recipe("fp16"), emitted_to(tmp_path, "b"))
    assert any("whether FP16 holds all values was not seen" in text for text in emitted.warnings)


class Reader(CalibrationDataReader):  # type: ignore[misc] # it has no types
    """One picture."""

    def __init__(self) -> None:
        self._left = [PICTURES[:1]]

    def get_next(self) -> dict[str, np.ndarray] | None:
        return {"image": self._left.pop()} if self._left else None


def quantised_elsewhere(folder: Path, **options: bool) -> onnx.ModelProto:
    """By ONNX Runtime's tool, int8, its other defaults but for the options."""
    onnx.save(cast_first(folded_net()), folder / "float.onnx")
    logging.disable(logging.WARNING)
    try:
        quantize_static(
            str(folder / "float.onnx"),
            str(folder / "planted.onnx"),
            Reader(),
            activation_type=QuantType.QInt8,
            nodes_to_exclude=[node.name for node in folded_net().graph.node if node.op_type != "Conv"],
            extra_options=options,
        )
    finally:
        logging.disable(logging.NOTSET)
    return onnx.load(folder / "planted.onnx")


def test_a_planted_model_with_the_defaults_of_onnx_runtime_is_refused_by_us_as_by_nvidia(tmp_path: Path) -> None:
    planted = quantised_elsewhere(tmp_path, ActivationSymmetric=True)
    with pytest.raises(ModelFileError, match=r"NVIDIA's parser refuses it: node .*DequantizeLinear.*Int32"):
        parser.parse(tmp_path / "planted.onnx")
    assert "is dequantised from int32" in str(refusal(planted, "11"))
    job = nvidia_job(tmp_path, {"generation": "11"}, planted)
    with pytest.raises(ModelFileError, match="quantise again with QuantizeBias=False"):
        tensorrt.emit(job, INT8, emitted_to(tmp_path, "out"))


def test_a_model_that_came_quantised_as_nvidia_wants_it_is_taken_as_it_is(tmp_path: Path) -> None:
    trained = quantised_elsewhere(tmp_path, ActivationSymmetric=True, WeightSymmetric=True, QuantizeBias=False)
    job = nvidia_job(tmp_path, {"generation": "11"}, trained, calibrated=False)
    emitted = tensorrt.emit(job, Recipe("int8", "minmax"), emitted_to(tmp_path, "out"))
    layers = tensorrt.executed(emitted, "f32")
    assert layers is not None
    assert layers["int8"] >= 5
    with pytest.raises(ModelFileError, match="quantised already, which fp16 would undo"):
        tensorrt.emit(job, Recipe("fp16"), emitted_to(tmp_path, "half"))
    older = Job(job.spec, job.source, job.folded, job.origin, job.scratch, None, {"generation": "8.6"})
    with pytest.raises(ModelFileError, match="stand as int8, read from 10 on"):
        tensorrt.emit(older, INT8, emitted_to(tmp_path, "old"))


def test_the_parser_names_the_node_that_it_refuses(tmp_path: Path) -> None:
    onnx.save(folded_net(), tmp_path / "bytes.onnx")
    with pytest.raises(ModelFileError, match=r"refuses it: node 'edgetally_prepare/0_transpose' \(Transpose\).*UInt8"):
        parser.parse(tmp_path / "bytes.onnx")
    (tmp_path / "garbage.onnx").write_bytes(b"no model")
    with pytest.raises(ModelFileError, match="NVIDIA's parser refuses it"):
        parser.parse(tmp_path / "garbage.onnx")


def test_without_tensorrt_for_rtx_the_onnx_is_made_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorrt, "is_installed", lambda: False)
    emitted = tensorrt.emit(nvidia_job(tmp_path, {"generation": "11"}), Recipe("fp16"), emitted_to(tmp_path, "out"))
    assert any("NVIDIA's parser was not asked" in text for text in emitted.warnings)
    assert tensorrt.executed(emitted, "f32") is None


class TestRtx:
    def test_an_engine_is_made_without_a_gpu_and_names_what_it_needs(self, tmp_path: Path) -> None:
        job = nvidia_job(tmp_path, {"compute": "86, 120"})
        emitted = tensorrt_rtx.emit(job, Recipe("fp16"), emitted_to(tmp_path, "out"))
        assert emitted.entry.read_bytes()[:4] == b"vtrt"
        version = emitted.toolchain["tensorrt-rtx"]
        assert Requirement(fact="runtime.tensorrt_rtx", equals=version) in emitted.floors
        assert Requirement(fact="gpu.sm", any_of=("86", "120")) in emitted.floors
        assert tensorrt_rtx.executed(emitted, "f32") == {"f16": 10}
        assert [file.name for file in emitted.entry.parent.iterdir()] == ["model.engine"]
        assert emitted.stand_in is not None
        lane = open_lane("onnxruntime", emitted.stand_in)
        assert lane.infer({"image": PICTURES[:1]})["density"].shape == (1, 1, 16, 16)

    @pytest.mark.parametrize("compute", ["", "90", "86,x"])
    def test_a_compute_capability_that_it_has_not_is_refused(self, compute: str, tmp_path: Path) -> None:
        with pytest.raises(DocumentError, match="'compute' should name some of 75, 80, 86, 89, 120, 121"):
            tensorrt_rtx.precisions(nvidia_job(tmp_path, {"compute": compute}), ("fp16",))

    def test_int8_is_refused_with_the_reason(self, tmp_path: Path) -> None:
        job = nvidia_job(tmp_path, {"compute": "86"})
        assert tensorrt_rtx.precisions(job, ("int8", "fp16")) == ("fp16",)
        with pytest.raises(ModelFileError, match="it has no int8 convolutions"):
            tensorrt_rtx.emit(job, INT8, emitted_to(tmp_path, "out"))


@pytest.mark.parametrize(
    ("name", "candidates", "layers"), [("vehicle-density", 39, 40), ("yolox-nano", 104, 113)], ids=lambda value: value
)
def test_real_models_are_taken(name: str, candidates: int, layers: int, tmp_path: Path) -> None:
    """About 20 s for yolox-nano: one generation of each kind of typing, on two pictures."""
    data = data_dir()
    source = {"vehicle-density": ROOT / "models/vehicle-density/model.onnx"}
    file = source.get(name, data / "models/yolox_nano_416.onnx")
    (tmp_path / "model.toml").write_bytes((ROOT / "models" / name / "model.toml").read_bytes())
    (tmp_path / "model.onnx").write_bytes(file.read_bytes())
    directory = read_model_dir(tmp_path)
    onnx.save(
        fold(read_onnx(directory.model_file, directory.spec.input), directory.spec.input), tmp_path / "folded.onnx"
    )
    images = sorted((data / "images/vehicle_topview/images").iterdir())[::200]
    preparer = Preparer(directory.spec.input)
    frames = [preparer.prepare(*read_picture_scaled(image, directory.spec.input))[0].copy() for image in images]
    np.save(tmp_path / "calibration.npy", np.stack(frames))
    assert len(quantised_nodes(onnx.load(tmp_path / "folded.onnx"))) == candidates
    for generation in ("8.5", "11"):
        job = Job(
            directory.spec,
            directory.model_file,
            tmp_path / "folded.onnx",
            {},
            tmp_path,
            tmp_path / "calibration.npy",
            {"generation": generation},
        )
        emitted = tensorrt.emit(job, INT8, emitted_to(tmp_path, generation))
        recipe = json.loads((emitted.entry.parent / "recipe.json").read_bytes())
        assert recipe["expected"] == {"int8": candidates // 2, "half": layers // 2, "total": layers}
    assert tensorrt.executed(emitted, "f32") == {"int8": candidates, "f16": layers - candidates}
