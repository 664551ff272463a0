"""Q/DQ placed by NVIDIA's Model Optimizer: what it is told, what is made of its answer, and the tool itself.

The tool is not installed for the tests (585 MB): where it is not, a worker of the test's own answers, with pairs that
we placed.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from contracts.errors import ModelFileError, ToolchainMissingError
from converters.families import deepstream, tensorrt
from converters.families.base import Job, Recipe
from converters.fold import PREFIX
from converters.nvidia import modelopt, parser
from converters.nvidia.making import cast_first
from converters.quantize.graph import load_named
from converters.quantize.placement import insert_qdq
from converters.quantize.ranges import tensor_ranges
from converters.toolchains import run as running
from converters.toolchains.environment import installed
from converters.toolchains.table import TOOLCHAINS
from runtime.backends.table import open_lane
from tests.fakes.toolchain import make_environment
from tests.unit.converters.nvidia.jobs import nvidia_job
from tests.unit.converters.quantize.blocks import PICTURES
from tests.unit.converters.quantize.test_placement import FLOAT_LAYERS, LAYERS

MAX = Recipe("int8", "max", ("stem",))
ANSWER = """import json, shutil, sys
job = json.load(open(sys.argv[1]))
json.dump(job, open({told!r}, "w"))
shutil.copyfile({gives!r}, job["entry"])
json.dump({{"toolchain": {{"nvidia-modelopt": "0.0.test"}}}}, open(sys.argv[2], "w"))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path


def job_of(folder: Path, generation: str) -> Job:
    return nvidia_job(folder, {"generation": generation, "placement": "modelopt"})


def placed_by_us(job: Job, folder: Path) -> Path:
    """A file as the tool would give it: float weights with pairs, scales that FP16 does not hold."""
    assert job.folded is not None
    assert job.calibration is not None
    model = cast_first(load_named(job.folded))
    ranges = tensor_ranges(job.folded, job.calibration, "minmax", cache=folder)
    placed = insert_qdq(model, ranges, kept_out=("stem",))
    for tensor in placed.graph.initializer:
        if tensor.name.endswith("/scale"):
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(1.0001), tensor.name))
    onnx.save(placed, folder / "gives.onnx")
    return folder / "gives.onnx"


@pytest.fixture
def answering(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the worker was told lies here; it gives ``gives.onnx``."""
    told = folder / "told.json"
    program = ANSWER.format(told=str(told), gives=str(folder / "gives.onnx"))
    environment = make_environment(folder, program)
    monkeypatch.setattr(running, "ensure", lambda _name, allow_install: environment)
    return told


def test_without_the_tool_the_error_says_the_command_and_its_size(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGETALLY_CACHE", str(folder / "cache"))
    monkeypatch.delenv("EDGETALLY_INSTALL_TOOLS", raising=False)
    with pytest.raises(ToolchainMissingError, match=r"run: edgetally-convert tools install modelopt \(585 MB\)"):
        tensorrt.emit(job_of(folder, "11"), MAX, folder / "out")


def test_it_has_its_own_ways_of_finding_ranges(folder: Path) -> None:
    assert tensorrt.methods(job_of(folder, "11"), "int8") == modelopt.METHODS
    assert tensorrt.methods(nvidia_job(folder, {"generation": "11"}), "int8") != modelopt.METHODS
    assert tensorrt.methods(job_of(folder, "11"), "fp16") == ("",)


def test_it_is_told_what_stays_in_float(folder: Path, answering: Path) -> None:
    job = job_of(folder, "11")
    placed_by_us(job, folder)
    emitted = tensorrt.emit(job, MAX, folder / "out")
    told = json.loads(answering.read_text())
    assert told["method"] == "max"
    assert told["input"] == "image"
    assert told["calibration"] == str(job.calibration)
    assert {"stem", "head", "classes"} <= set(told["keep"])
    assert any(name.startswith(PREFIX) for name in told["keep"])
    assert not set(told["keep"]) & set(LAYERS[1:])
    assert emitted.toolchain["nvidia-modelopt"] == "0.0.test"


@pytest.mark.parametrize(("generation", "integers"), [("8.6", False), ("10.3", False), ("10.13", True), ("11", True)])
def test_its_pairs_get_the_form_that_the_generation_reads(
    generation: str, integers: bool, folder: Path, answering: Path
) -> None:
    job = job_of(folder, generation)
    placed_by_us(job, folder)
    emitted = tensorrt.emit(job, MAX, folder / "out")
    assert answering.is_file()
    model = onnx.load(emitted.entry)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    pairs = [node for node in model.graph.node if node.op_type == "DequantizeLinear"]
    assert len([node for node in pairs if node.input[0] in constants]) == (len(LAYERS) - 1 if integers else 0)
    of_weights = [n for n in model.graph.node if n.op_type == "QuantizeLinear" and n.input[0] in constants]
    assert len(of_weights) == (0 if integers else len(LAYERS) - 1)
    scales = [numpy_helper.to_array(constants[node.input[1]]) for node in pairs]
    assert all((values == values.astype(np.float16)).all() for values in scales)
    if parser.is_installed():
        layers = tensorrt.executed(emitted, "f32")
        assert layers is not None
        assert layers["int8"] == len(LAYERS) - 1
        assert "tensorrt-rtx" in emitted.toolchain
    exact = open_lane("onnxruntime", job.folded or Path()).infer({"image": PICTURES[:1]})["density"].copy()
    came = open_lane("onnxruntime", emitted.stand_in or emitted.entry).infer({"image": PICTURES[:1]})["density"]
    assert 0 < np.abs(came - exact).max() <= 0.3 * np.abs(exact).max()


def test_deepstream_takes_them_too(folder: Path, answering: Path) -> None:
    job = job_of(folder, "10.3")
    placed_by_us(job, folder)
    emitted = deepstream.emit(job, MAX, folder / "out")
    assert answering.is_file()
    assert emitted.toolchain["nvidia-modelopt"] == "0.0.test"


def test_another_model_than_was_asked_for_is_refused(folder: Path, answering: Path) -> None:
    job = job_of(folder, "11")
    model = onnx.load(placed_by_us(job, folder))
    del model.graph.output[1:]
    onnx.save(model, folder / "gives.onnx")
    with pytest.raises(ModelFileError, match="ModelOpt gave a model with other inputs or outputs"):
        tensorrt.emit(job, MAX, folder / "out")
    (folder / "gives.onnx").write_bytes(b"no model")
    with pytest.raises(ModelFileError, match="ModelOpt wrote no valid model"):
        tensorrt.emit(job, MAX, folder / "out")
    assert answering.is_file()


@pytest.mark.skipif(not parser.is_installed(), reason="TensorRT for RTX is not installed")
def test_a_model_in_which_it_quantised_nothing_is_refused(folder: Path, answering: Path) -> None:
    job = job_of(folder, "11")
    assert job.folded is not None
    onnx.save(cast_first(load_named(job.folded)), folder / "gives.onnx")
    with pytest.raises(ModelFileError, match="0 of 10 convolutions and products are int8 in NVIDIA's network"):
        tensorrt.emit(job, MAX, folder / "out")
    assert answering.is_file()


@pytest.mark.slow
@pytest.mark.parametrize("method", modelopt.METHODS)
@pytest.mark.parametrize("generation", ["8.6", "11"])
def test_the_tool_itself_places_pairs_that_nvidia_s_parser_takes(generation: str, method: str, folder: Path) -> None:
    """About 10 s each."""
    if installed(TOOLCHAINS["modelopt"]) is None:
        pytest.skip("not installed; run: edgetally-convert tools install modelopt")
    job = job_of(folder, generation)
    emitted = tensorrt.emit(job, Recipe("int8", method, ("stem",)), folder / "out")
    assert emitted.toolchain["nvidia-modelopt"]
    graph = onnx.load(emitted.entry).graph
    restored = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    layers = {node.name: node for node in graph.node}
    quantised = {name for name in (*LAYERS, *FLOAT_LAYERS) if set(layers[name].input[:2]) <= restored}
    assert "up" in quantised, "it leaves layers of few channels alone"
    assert not quantised & {"stem", "head", "classes"}
    exact = open_lane("onnxruntime", job.folded or Path()).infer({"image": PICTURES[:1]})["density"].copy()
    came = open_lane("onnxruntime", emitted.stand_in or emitted.entry).infer({"image": PICTURES[:1]})["density"]
    assert 0 < np.abs(came - exact).max() <= 0.3 * np.abs(exact).max()
