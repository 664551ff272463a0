"""Qualcomm's compiler and its emulation of HTP, run for real: the whole model is inside, or it is refused by name."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

pytest.importorskip("onnxruntime_qnn", reason="onnxruntime-qnn has wheels for Python 3.11 and 3.12 on Linux only")

from contracts.errors import ArtifactError, DeviceError, ModelFileError
from contracts.facts import Requirement
from converters.families import qnn
from converters.families.base import Emitted, Job, Recipe
from converters.fold import fold
from converters.qnn.context import compile_context
from converters.qnn.prepare import float_graph
from converters.reference import run_onnx
from runtime.backends.base import Lane
from runtime.backends.table import open_lane, open_lanes
from runtime.model_dir import read_model_dir
from runtime.pictures import read_picture_scaled
from targets.load import all_targets, load_target
from tests.data import data_dir
from tests.unit.converters.networks import SIDE, density_net, finish, focus_net
from tests.unit.converters.test_qnn import FRAME, PLAIN, V68, V73, qnn_job

ROOT = Path(__file__).parents[2]


def emit(folder: Path, job: Job, recipe: Recipe) -> Emitted:
    out = folder / f"{recipe.precision}-{job.options['htp_arch']}"
    out.mkdir()
    return qnn.emit(job, recipe, out)


def opened(emitted: Emitted, options: Mapping[str, str] = V73) -> Lane:
    return open_lane("qnn", emitted.entry, execution_precision="native", options=options)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Job, Emitted]:
    folder = tmp_path_factory.mktemp("qnn")
    job = qnn_job(folder)
    return job, emit(folder, job, Recipe("int8", "minmax"))


@pytest.mark.parametrize(
    ("options", "recipe", "layers", "off"),
    [
        (V68, Recipe("int8", "minmax"), {"int8": 2, "int16": 1}, 0.1),
        (V73, Recipe("int8", "percentile"), {"int8": 2, "f16": 1}, 0.1),
        (V68, Recipe("int8-a16", "minmax"), {"int16": 3}, 0.05),
        (V73, Recipe("fp16"), {"f16": 2}, 0.01),
    ],
    ids=str,
)
def test_the_whole_model_runs_in_the_types_asked_for(
    options: dict[str, str], recipe: Recipe, layers: dict[str, int], off: float, tmp_path: Path
) -> None:
    job = qnn_job(tmp_path, options)
    emitted = emit(tmp_path, job, recipe)
    assert qnn.executed(emitted, "native") == layers
    (node,) = onnx.load(emitted.entry, load_external_data=False).graph.node
    assert node.op_type == "EPContext"
    assert job.folded is not None
    assert job.calibration is not None
    picture = np.load(job.calibration)[:1]  # one that the ranges were found on
    (expected,) = run_onnx(job.source, job.folded, "image", [picture])
    got = opened(emitted, options).infer({"image": picture})["density"]
    assert np.abs(got - expected["density"]).max() < off * np.abs(expected["density"]).max()


OTHERS = {
    target.name: dict(target.options)
    for target in all_targets()
    if target.family == "qnn" and dict(target.options) not in (V68, V73)
}


@pytest.mark.parametrize("name", OTHERS)
def test_every_chip_that_a_target_names_gets_a_context_that_runs(name: str, tmp_path: Path) -> None:
    job = qnn_job(tmp_path, OTHERS[name])
    emitted = emit(tmp_path, job, Recipe("int8", "minmax"))
    assert qnn.executed(emitted, "native") == {"int8": 2, "f16": 1}
    assert job.folded is not None
    (expected,) = run_onnx(job.source, job.folded, "image", [FRAME])
    got = opened(emitted, OTHERS[name]).infer({"image": FRAME})["density"]
    assert np.abs(got - expected["density"]).max() < 0.1 * np.abs(expected["density"]).max()


def test_layers_kept_out_of_quantising_compute_in_fp16(tmp_path: Path) -> None:
    model = density_net()
    for number, node in enumerate(model.graph.node):
        node.name = f"layer{number}"
    emitted = emit(tmp_path, qnn_job(tmp_path, V73, model), Recipe("int8", "minmax", ("layer0",)))
    assert qnn.executed(emitted, "native") == {"int8": 1, "f16": 2}


@pytest.mark.parametrize(
    "recipe", [Recipe("int8", "minmax"), Recipe("int8", "percentile"), Recipe("int8-a16", "minmax")]
)
def test_pixels_that_become_channels_keep_their_values(recipe: Recipe, tmp_path: Path) -> None:
    """HTP's SpaceToDepth takes no scale of its own: in 16 bits YOLOX's pixels came out twice as bright."""
    job = qnn_job(tmp_path, V73, focus_net(), **PLAIN)
    assert job.folded is not None
    assert job.calibration is not None
    picture = np.load(job.calibration)[:1]
    (expected,) = run_onnx(job.source, job.folded, "image", [picture])
    got = opened(emit(tmp_path, job, recipe)).infer({"image": picture})["density"]
    assert np.abs(got - expected["density"]).max() < 0.02 * np.abs(expected["density"]).max()


def test_what_was_written_says_what_it_needs(made: tuple[Job, Emitted]) -> None:
    _, emitted = made
    assert emitted.floors == (Requirement(fact="runtime.qnn", at_least="2.7"),)
    assert emitted.toolchain["qairt"].startswith("2.")
    (frame,), (density,) = emitted.inputs, emitted.outputs
    assert (frame.name, frame.dtype, frame.shape) == ("image", "uint8", (1, SIDE, SIDE, 3))
    assert (density.name, density.dtype, density.shape) == ("density", "float32", (1, 1, SIDE // 4, SIDE // 4))
    assert {file.name for file in emitted.entry.parent.iterdir()} == {"model.onnx", "model_qnn.bin"}
    model = onnx.load(emitted.entry, load_external_data=False)
    assert model.ir_version <= 10
    assert {entry.domain for entry in model.opset_import} == {"", "com.microsoft"}
    assert {entry.key: entry.value for entry in model.metadata_props}["model"] == "tiny 1.0.0"


def test_the_same_model_gives_the_same_bytes_and_another_processor_others(
    made: tuple[Job, Emitted], tmp_path: Path
) -> None:
    job, first = made
    binaries = [first.entry.with_name("model_qnn.bin").read_bytes()]
    for number, options in enumerate((V73, V68)):
        folder = tmp_path / str(number)
        folder.mkdir()
        again = qnn.emit(
            Job(job.spec, job.source, job.folded, job.origin, job.scratch, job.calibration, options),
            Recipe("int8", "minmax"),
            folder,
        )
        binaries.append(again.entry.with_name("model_qnn.bin").read_bytes())
    assert binaries[0] == binaries[1]
    assert binaries[0] != binaries[2]


def test_an_operator_that_would_run_on_the_cpu_is_refused_by_name(tmp_path: Path) -> None:
    shape = [1, 3, SIDE, SIDE]
    net = finish(
        [
            helper.make_node("Relu", ["image"], ["a"], name="taken"),
            helper.make_node("Asinh", ["a"], ["b"], name="odd one"),
            helper.make_node("Relu", ["b"], ["density"], name="taken too"),
        ],
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("density", TensorProto.FLOAT, shape)],
        [],
    )
    with pytest.raises(ModelFileError, match=r"HTP does not take Asinh 'odd one'.*would run on the CPU"):
        emit(tmp_path, qnn_job(tmp_path, V73, net), Recipe("int8", "minmax"))


def test_a_compiler_that_takes_too_long_is_ended(made: tuple[Job, Emitted], tmp_path: Path) -> None:
    job, _ = made
    assert job.folded is not None
    with pytest.raises(ModelFileError, match=r"took more than 0\.01 s"):
        compile_context(job.source, job.folded, tmp_path / "model.onnx", V73, time_limit_s=0.01)


def test_a_processor_that_the_library_does_not_know_is_refused(tmp_path: Path) -> None:
    spec = qnn_job(tmp_path).spec
    model = tmp_path / "float.onnx"
    onnx.save(float_graph(fold(density_net(), spec.input)), model)
    with pytest.raises(ModelFileError, match=r"HTP does not take|refuses it|expected a context for htp_arch"):
        compile_context(model, model, tmp_path / "model.onnx", {"htp_arch": "73", "soc_model": "99999"})


class TestBackend:
    def test_lanes_used_at_once_do_not_mix_their_frames(self, made: tuple[Job, Emitted]) -> None:
        _, emitted = made
        lanes = open_lanes("qnn", emitted.entry, execution_precision="native", lanes=2, options=V73)
        frames = [FRAME, 255 - FRAME]
        alone = [np.array(lanes[0].infer({"image": frame})["density"]) for frame in frames]
        assert np.abs(alone[0] - alone[1]).max() > 0
        wrong: list[int] = []

        def work(number: int) -> None:
            got = [np.array(lanes[number].infer({"image": frames[number]})["density"]) for _ in range(3)]
            wrong.extend(number for density in got if not np.array_equal(density, alone[number]))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong

    def test_opening_it_says_nothing_on_stdout(self, made: tuple[Job, Emitted]) -> None:
        program = (
            "import sys; from pathlib import Path; from runtime.backends.table import open_lane; "
            "open_lane('qnn', Path(sys.argv[1]), execution_precision='native'); print('{}')"
        )
        command = [sys.executable, "-c", program, str(made[1].entry)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout == "{}\n"

    def test_an_input_of_another_shape_is_refused(self, made: tuple[Job, Emitted]) -> None:
        with pytest.raises(ArtifactError, match="QNN refuses the input"):
            opened(made[1]).infer({"image": FRAME[:, :32]})

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            ({"backend": "cpu"}, "asks for 'backend'"),
            ({"htp_arch": "73"}, "expected the option soc_model"),
            ({"htp_arch": "68", "soc_model": "43"}, "soc_model 43 has htp_arch 73"),
        ],
    )
    def test_options_that_cannot_be_honoured_are_refused(
        self, options: dict[str, str], reason: str, made: tuple[Job, Emitted]
    ) -> None:
        with pytest.raises(DeviceError, match=reason):
            opened(made[1], options)

    def test_a_precision_that_is_not_the_artifacts_own_is_refused(self, made: tuple[Job, Emitted]) -> None:
        with pytest.raises(DeviceError, match="expected execution precision native, got 'f32'"):
            open_lane("qnn", made[1].entry, execution_precision="f32", options=V73)

    def test_an_artifact_of_another_processor_is_refused(self, made: tuple[Job, Emitted]) -> None:
        with pytest.raises(ModelFileError, match="was compiled for htp_arch 73, expected 68"):
            opened(made[1], V68)

    def test_a_node_left_for_the_cpu_is_refused(self, made: tuple[Job, Emitted], tmp_path: Path) -> None:
        entry = made[1].entry
        model = onnx.load(entry, load_external_data=False)
        model.graph.node.append(helper.make_node("Asinh", ["density"], ["more"], name="planted"))
        model.graph.value_info.append(model.graph.output[0])
        model.graph.output[0].name = "more"
        onnx.save(model, tmp_path / "model.onnx")
        (tmp_path / "model_qnn.bin").write_bytes(entry.with_name("model_qnn.bin").read_bytes())
        with pytest.raises(ModelFileError, match="fallback to CPU EP has been explicitly disabled"):
            open_lane("qnn", tmp_path / "model.onnx", execution_precision="native", options=V73)

    @pytest.mark.parametrize("content", [b"", b"not a model"])
    def test_a_file_that_is_none_is_refused(self, content: bytes, tmp_path: Path) -> None:
        (tmp_path / "model.onnx").write_bytes(content)
        with pytest.raises(ModelFileError, match="QNN does not load it"):
            open_lane("qnn", tmp_path / "model.onnx", execution_precision="native", options=V73)

    def test_a_context_without_its_binary_is_refused(self, made: tuple[Job, Emitted], tmp_path: Path) -> None:
        (tmp_path / "model.onnx").write_bytes(made[1].entry.read_bytes())
        with pytest.raises(ModelFileError, match="QNN does not load it"):
            open_lane("qnn", tmp_path / "model.onnx", execution_precision="native", options=V73)


def test_vehicle_density_counts_the_same_in_emulation(tmp_path: Path) -> None:
    directory = read_model_dir(ROOT / "models" / "vehicle-density")
    pictures = sorted((data_dir() / "images" / "vehicle_topview" / "images").rglob("*.jpg"))[::80][:4]
    spec = directory.spec.input
    frames = np.stack([read_picture_scaled(path, spec)[0] for path in pictures])
    np.save(tmp_path / "calibration.npy", frames)
    folded = tmp_path / "folded.onnx"
    onnx.save(fold(onnx.load(directory.model_file), spec), folded)
    options = load_target("qualcomm-qnn-v73").options
    job = Job(directory.spec, directory.model_file, folded, {}, tmp_path, tmp_path / "calibration.npy", options)
    emitted = emit(tmp_path, job, Recipe("int8", "minmax"))
    assert qnn.executed(emitted, "native") == {"int8": 40, "f16": 1}
    name = emitted.inputs[0].name
    tensors = [frame[np.newaxis] for frame in frames]
    expected = [float(values["density"].sum()) for values in run_onnx(folded, folded, name, tensors)]
    lane = opened(emitted)
    got = [float(lane.infer({name: frame})["density"].sum()) for frame in tensors]
    assert np.abs(np.subtract(got, expected)).mean() < 0.03 * np.mean(expected)
