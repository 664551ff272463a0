"""The TFLite family through its real toolchains: the names, layouts and numbers of the ONNX, in every precision."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from contracts.errors import DocumentError, ModelFileError, ToolchainMissingError
from contracts.model_spec import ModelSpec
from converters.families import tflite
from converters.families.base import Job, Recipe
from converters.fold import fold
from converters.quantize.graph import load_named
from converters.read import read_onnx
from converters.reference import prepared
from converters.tflite.flatbuffer import read_graph
from converters.tflite.mapping import operators_of
from converters.toolchains.environment import installed
from converters.toolchains.table import TOOLCHAINS
from runtime.backends.table import open_lane
from runtime.backends.tflite import TfLiteLane
from runtime.model_dir import read_model_dir
from runtime.results import Tensors
from tests.data import data_dir
from tests.integration.tflite_files import pictures
from tests.unit.converters.networks import SIDE, density_net, identity_net

ROOT = Path(__file__).parents[2]
RECIPES = [Recipe("fp32"), Recipe("fp16"), Recipe("int8", "minmax"), Recipe("int8", "mse"), Recipe("dynamic")]


@pytest.fixture(scope="module", autouse=True)
def _toolchains() -> None:
    """Skips where the toolchains are not installed; fails in CI, where a skipped test would be a test nobody runs."""
    missing = [name for name in ("onnx2tf", "ai-edge-quantizer") if installed(TOOLCHAINS[name]) is None]
    if missing:
        reason = f"not installed: {', '.join(missing)}; run: edgetally-convert tools install NAME"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


def spec_of(**changes: object) -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "name": "tiny",
            "version": "1.0.0",
            "labels": ["vehicle"],
            "input": {"width": SIDE, "height": SIDE, "color": "rgb", "mean": [120.0], "std": [60.0]} | changes,
            "output": {"decoder": "density"},
        }
    )


def job_of(folder: Path, spec: ModelSpec, source: Path, graph: onnx.ModelProto) -> Job:
    onnx.save(fold(graph, spec.input), folder / "folded.onnx")
    np.save(folder / "calibration.npy", pictures(4, max(64, spec.input.height), max(64, spec.input.width)))
    (folder / "scratch").mkdir()
    return Job(spec, source, folder / "folded.onnx", {}, folder / "scratch", calibration=folder / "calibration.npy")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory, _toolchains: None) -> Job:
    folder = tmp_path_factory.mktemp("tiny")
    return job_of(folder, spec_of(), folder / "model.onnx", density_net())


@pytest.fixture(scope="module", params=["vehicle-density", "yolox-nano"])
def real(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, _toolchains: None) -> Job:
    folder, given = tmp_path_factory.mktemp(request.param), ROOT / "models" / request.param
    if request.param == "yolox-nano":
        shutil.copy(given / "model.toml", folder / "model.toml")
        shutil.copy(data_dir() / "models" / "yolox_nano_416.onnx", folder / "model.onnx")
        given = folder
    directory = read_model_dir(given)
    return job_of(folder, directory.spec, directory.model_file, read_onnx(directory.model_file, directory.spec.input))


def reference(job: Job, frame: NDArray[np.uint8]) -> Tensors:
    session = ort.InferenceSession(str(job.folded))
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {session.get_inputs()[0].name: frame}), strict=True))


def frames(job: Job) -> NDArray[np.uint8]:
    assert job.calibration is not None
    loaded: NDArray[np.uint8] = np.load(job.calibration)
    return loaded


def worst(job: Job, entry: Path) -> float:
    """Largest error over the outputs of a frame, as a share of their range."""
    frame = frames(job)[1:2]
    expected, lane = reference(job, frame), open_lane("tflite", entry)
    came = lane.infer({onnx.load(Path(str(job.folded))).graph.input[0].name: frame})
    assert came.keys() == expected.keys()
    assert {name: value.shape for name, value in came.items()} == {name: v.shape for name, v in expected.items()}
    return max(float(np.abs(came[name] - expected[name]).max() / np.abs(expected[name]).max()) for name in expected)


def emit(job: Job, recipe: Recipe, folder: Path) -> tuple[Path, dict[str, int]]:
    emitted = tflite.emit(job, recipe, folder)
    return emitted.entry, dict(tflite.executed(emitted, "f32") or {})


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: f"{recipe.precision}{recipe.method}")
def test_every_recipe_gives_an_artifact_of_the_same_contract(recipe: Recipe, tiny: Job, tmp_path: Path) -> None:
    emitted = tflite.emit(tiny, recipe, tmp_path)
    (frame,), (density,) = emitted.inputs, emitted.outputs
    assert (frame.name, frame.dtype, frame.shape) == ("image", "uint8", (1, SIDE, SIDE, 3))
    assert (density.name, density.dtype, density.shape) == ("density", "float32", (1, 1, SIDE // 4, SIDE // 4))
    assert emitted.rounded is (recipe.precision != "fp32")
    assert {"onnx2tf", "ai-edge-litert"} <= emitted.toolchain.keys()
    assert worst(tiny, emitted.entry) <= {"fp32": 1e-5, "fp16": 5e-3}.get(recipe.precision, 0.1)
    assert emitted.warnings == ()


def test_int8_quantises_what_does_the_work_but_a_densitys_head(tiny: Job, tmp_path: Path) -> None:
    assert emit(tiny, Recipe("int8", "minmax"), tmp_path)[1] == {"int8": 1, "f32": 2}, "and the preparation"


def test_what_is_kept_out_runs_in_float(tiny: Job, tmp_path: Path) -> None:
    first = next(node.name for node in load_named(Path(str(tiny.folded))).graph.node if node.op_type == "Conv")
    assert emit(tiny, Recipe("int8", "minmax", (first,)), tmp_path)[1] == {"f32": 3}


def test_a_node_that_cannot_be_kept_out_is_named(tiny: Job, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="cannot keep 'nowhere' out of quantisation"):
        tflite.emit(tiny, Recipe("int8", "minmax", ("nowhere",)), tmp_path)


def test_the_float_file_is_made_once(tiny: Job, tmp_path: Path) -> None:
    first = emit(tiny, Recipe("fp32"), tmp_path)[0].read_bytes()
    written = (tiny.scratch / "float32" / "float32.tflite").stat().st_mtime_ns
    assert emit(tiny, Recipe("fp32"), tmp_path)[0].read_bytes() == first
    assert (tiny.scratch / "float32" / "float32.tflite").stat().st_mtime_ns == written


def test_int8_without_pictures_is_refused(tiny: Job, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="int8 needs calibration pictures, there are none"):
        tflite.emit(replace(tiny, calibration=None), Recipe("int8", "minmax"), tmp_path)


def test_a_size_that_is_not_the_declared_one_is_refused(tiny: Job, tmp_path: Path) -> None:
    other = replace(tiny, spec=spec_of(width=96))
    with pytest.raises(ModelFileError, match=r"expected TFLite's input as uint8 \(1, 64, 96, 3\)"):
        tflite.emit(other, Recipe("fp32"), tmp_path)


def test_options_and_other_files_are_refused(tiny: Job) -> None:
    with pytest.raises(DocumentError, match="delegate: the family tflite has no options"):
        tflite.precisions(replace(tiny, options={"delegate": "gpu"}), ("fp32",))
    with pytest.raises(ModelFileError, match=r"TFLite's converter takes ONNX files, got \.xml"):
        tflite.precisions(replace(tiny, folded=None, source=Path("model.xml")), ("fp32",))


def test_a_missing_toolchain_says_how_to_install_it(tiny: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGETALLY_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EDGETALLY_INSTALL_TOOLS", raising=False)
    (tmp_path / "scratch").mkdir()
    with pytest.raises(ToolchainMissingError, match="run: edgetally-convert tools install onnx2tf"):
        tflite.emit(replace(tiny, scratch=tmp_path / "scratch"), Recipe("fp32"), tmp_path)


@pytest.mark.parametrize(
    "changes",
    [{"color": "gray", "mean": [3.0], "std": [5.0]}, {"color": "rgb", "mean": [10.0, 20.0, 30.0]}],
    ids=["gray", "rgb"],
)
def test_preparation_and_layout_survive(changes: dict[str, object], tmp_path: Path) -> None:
    spec = spec_of(**changes)
    job = job_of(tmp_path, spec, tmp_path / "model.onnx", identity_net(spec.input))
    (tmp_path / "out").mkdir()
    entry = emit(job, Recipe("fp32"), tmp_path / "out")[0]
    frame = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE, 3), np.uint8)
    came = open_lane("tflite", entry).infer({"image": frame})["same"]
    np.testing.assert_allclose(came, prepared(frame, spec.input), rtol=1e-5, atol=1e-4)


class TestRealModels:
    def test_float32_computes_what_the_onnx_does(self, real: Job, tmp_path: Path) -> None:
        entry = emit(real, Recipe("fp32"), tmp_path)[0]
        assert worst(real, entry) <= 1e-3
        assert TfLiteLane(entry, threads=1).slow == 0

    def test_int8_quantises_every_convolution_that_should_be(self, real: Job, tmp_path: Path) -> None:
        _, counts = emit(real, Recipe("int8", "minmax"), tmp_path)
        assert counts == ({"int8": 39, "f32": 2} if real.spec.output.decoder == "density" else {"int8": 104, "f32": 9})

    def test_every_node_is_mapped_to_a_tensor_of_its_values(self, real: Job) -> None:
        """Layouts differ, so the values are compared in order of size."""
        made = tflite._float32(real)
        graph = read_graph(made.file)
        found = operators_of(made.names, made.records, graph)
        named = load_named(Path(str(real.folded)))
        heavy = {node.name for node in named.graph.node if node.op_type == "Conv"}
        assert heavy <= found.keys(), "each convolution can be kept out"
        groups: dict[str, list[str]] = {}
        for node in named.graph.node:
            for operator in found.get(node.name, ()):
                groups.setdefault(operator.outputs[0].name, []).append(node.output[0])
        floats, onnx_values = _tflite_values(made.file, frames(real)[:1]), _onnx_values(named, frames(real)[:1])
        wrong = {
            tensor: outputs
            for tensor, outputs in groups.items()
            if tensor in floats and not any(_alike(floats[tensor], onnx_values[output]) for output in outputs)
        }
        assert not wrong
        assert len(groups) >= 50


def _alike(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    if one.size != other.size:
        return False
    gap = np.abs(np.sort(one, axis=None) - np.sort(other, axis=None)).max()
    return bool(gap <= 1e-3 * max(1.0, float(np.abs(other).max())))


def _onnx_values(named: onnx.ModelProto, frame: NDArray[np.uint8]) -> Tensors:
    model = onnx.ModelProto()
    model.CopyFrom(named)
    del model.graph.output[:]
    kinds = {value.name: value for value in [*named.graph.value_info, *named.graph.output]}
    model.graph.output.extend(kinds[name] for node in named.graph.node for name in node.output if name in kinds)
    session = ort.InferenceSession(model.SerializeToString())
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {session.get_inputs()[0].name: frame}), strict=True))


def _tflite_values(file: Path, frame: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    interpreter = Interpreter(
        model_path=str(file),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], frame)
    interpreter.invoke()
    details = [detail for detail in interpreter.get_tensor_details() if detail["dtype"] == np.float32]
    return {detail["name"]: interpreter.get_tensor(detail["index"]) for detail in details}
