"""From a model directory to a bundle that a device may trust, with real models and real pictures."""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from contracts.errors import DocumentError, EdgetallyError, ModelFileError, StorageError
from converters.build import build
from converters.families import onnxruntime as onnx_family
from converters.families.base import Emitted, Job, Recipe
from converters.report.write import read_report
from converters.request import Request
from runtime.backends.table import open_lane
from runtime.bundle import Bundle, open_bundle
from runtime.decoders.table import open_decoder
from runtime.pictures import read_picture_scaled
from runtime.prepare import Preparer
from runtime.results import Detections
from tests.data import data_dir
from tests.unit.converters.networks import density_net, write_model_dir

ROOT = Path(__file__).parents[2]
PICTURES = "images/vehicle_topview"
VEHICLES = {"car", "bus", "truck"}
PROCESSORS = ("x86-openvino", "x86-onnxruntime", "arm64-onnxruntime")


def quick(model: Path, out: Path, *targets: str) -> Request:
    """A build of exact forms on few pictures, not timed."""
    return Request(model, out, targets or PROCESSORS, precisions=("fp32", "fp16"), pictures=8, measuring="none")


def yolox_dir(folder: Path) -> Path:
    """The sample that ships, with the weights that do not."""
    folder.mkdir(parents=True)
    shutil.copyfile(ROOT / "models" / "yolox-nano" / "model.toml", folder / "model.toml")
    shutil.copyfile(data_dir() / "models" / "yolox_nano_416.onnx", folder / "model.onnx")
    return folder


def ssd_dir(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for suffix in (".xml", ".bin"):
        shutil.copyfile(
            data_dir() / "models" / f"person-vehicle-bike-detection-2000{suffix}", folder / f"model{suffix}"
        )
    (folder / "model.toml").write_text(
        'name = "pvb"\nversion = "1.0.0"\nlabels = ["vehicle", "person", "bike"]\n'
        '[input]\nwidth = 256\nheight = 256\n[output]\ndecoder = "ssd"\n'
    )
    return folder


@pytest.fixture(scope="module")
def yolox(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("yolox")
    return build(
        Request(
            yolox_dir(folder / "model"),
            folder / "yolox.bundle",
            PROCESSORS,
            data_dir() / PICTURES,
            precisions=("fp32", "fp16"),
            pictures=48,
            measuring="none",
        )
    )


def names(bundle: Bundle) -> set[str]:
    return {artifact.id for artifact in bundle.manifest.artifacts}


class TestYolox:
    def test_every_target_gets_its_exact_artifact(self, yolox: Bundle) -> None:
        assert {"x86-openvino/fp32", "x86-onnxruntime/fp32", "arm64-onnxruntime/fp32"} <= names(yolox)

    def test_every_artifact_agrees_with_the_original(self, yolox: Bundle) -> None:
        for artifact in yolox.manifest.artifacts:
            (exact,) = (parity for parity in artifact.parity if parity.execution_precision == "f32")
            assert exact.passed
            assert exact.frames == 16
            if artifact.precision == "fp32":
                assert max(output.max_error for output in exact.outputs) < 1e-3

    def test_what_runs_with_less_precision_was_judged_by_what_it_counts(self, yolox: Bundle) -> None:
        for artifact in yolox.manifest.artifacts:
            assert set(artifact.accuracy) == set(artifact.execution_precisions)
            for accuracy in artifact.accuracy.values():
                assert accuracy.truth == "labels"
                assert accuracy.verdict != "failed"
                assert accuracy.loss <= 0.01

    def test_what_is_judged_on_was_not_calibrated_on(self, yolox: Bundle) -> None:
        calibration, evaluation = yolox.manifest.calibration, yolox.manifest.evaluation
        assert calibration
        assert evaluation
        assert calibration.clips
        assert not set(calibration.clips) & set(evaluation.clips)

    def test_the_report_has_a_row_for_everything_that_was_tried(self, yolox: Bundle) -> None:
        report = read_report(yolox)
        kept = {(row.artifact, row.execution_precision) for row in report.rows if row.status == "kept"}
        assert kept == {(a.id, precision) for a in yolox.manifest.artifacts for precision in a.execution_precisions}
        assert "<script" not in (yolox.path / "report.html").read_text()

    def test_only_what_ran_on_its_own_kind_of_host_is_called_measured(self, yolox: Bundle) -> None:
        for artifact in yolox.manifest.artifacts:
            at_home = ("x86" in artifact.target) == (platform.machine() == "x86_64")
            assert artifact.evidence == ("measured" if at_home else "emulated")
            assert artifact.evidence_device

    def test_the_manifest_says_from_what_it_was_made(self, yolox: Bundle) -> None:
        source = yolox.manifest.source
        assert source.sha256 == hashlib.sha256((data_dir() / "models/yolox_nano_416.onnx").read_bytes()).hexdigest()
        assert (source.opset, source.producer) == (11, "pytorch 1.10")
        assert yolox.manifest.evaluation
        assert yolox.manifest.evaluation.origin == "folder vehicle_topview, 48 of 186 pictures"
        assert len(yolox.manifest.golden) == 3

    @pytest.mark.parametrize("artifact_id", ["x86-openvino/fp32", "x86-onnxruntime/fp32"])
    def test_the_artifact_sees_the_vehicles(self, artifact_id: str, yolox: Bundle) -> None:
        artifact, spec = yolox.artifact(artifact_id), yolox.manifest.model
        lane, decoder = open_lane(artifact.backend, yolox.entry(artifact)), open_decoder(spec)
        picture, placement = read_picture_scaled(data_dir() / PICTURES / "images" / "clip10_0000.jpg", spec.input)
        outputs = lane.infer({artifact.inputs[0].name: Preparer(spec.input).prepare(picture, placement)})
        found = decoder.decode(outputs, placement)
        assert isinstance(found, Detections)
        assert any(spec.labels[number] in VEHICLES for number in found.class_ids)

    def test_a_copied_bundle_is_still_whole_and_a_changed_one_is_not(self, yolox: Bundle, tmp_path: Path) -> None:
        copy = tmp_path / "copy"
        shutil.copytree(yolox.path, copy)
        open_bundle(copy).check()
        weights = next((copy / "artifacts").rglob("*.bin"))
        weights.write_bytes(weights.read_bytes()[:-1] + b"\xff")
        with pytest.raises(EdgetallyError, match="copy the bundle again"):
            open_bundle(copy).check()


class TestIr:
    def test_it_is_packed_for_openvino_only_and_the_others_are_said_to_be_missing(self, tmp_path: Path) -> None:
        bundle = build(quick(ssd_dir(tmp_path / "model"), tmp_path / "a.bundle"))
        assert names(bundle) == {"x86-openvino/fp16"}, "called by what the file holds"
        (artifact,) = bundle.manifest.artifacts
        assert artifact.inputs[0].dtype == "uint8"
        assert artifact.parity[0].outputs[0].max_error < 1e-3
        for target in ("x86-onnxruntime", "arm64-onnxruntime"):
            rows = [row for row in read_report(bundle).rows if row.target == target]
            assert {row.status for row in rows} == {"failed"}
            assert all("its own runtime only" in row.reason for row in rows)

    def test_where_nothing_is_left_the_reason_is_the_error(self, tmp_path: Path) -> None:
        with pytest.raises(ModelFileError, match=r"no artifact could be made; x86-onnxruntime .* its own runtime only"):
            build(quick(ssd_dir(tmp_path / "model"), tmp_path / "a.bundle", "x86-onnxruntime"))
        assert [path.name for path in tmp_path.iterdir()] == ["model"]


class TestTiny:
    """What goes wrong on the way, on a network that converts in a blink."""

    def test_less_exact_forms_of_a_density_model_are_kept(self, tmp_path: Path) -> None:
        bundle = build(quick(write_model_dir(tmp_path / "model"), tmp_path / "a.bundle"))
        assert {"x86-openvino/fp32", "x86-openvino/fp16"} <= names(bundle)
        assert bundle.manifest.artifacts[0].target == "x86-openvino"

    def test_the_same_model_gives_the_same_bundle(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
        model = write_model_dir(tmp_path / "model")
        one, two = (build(quick(model, tmp_path / name)) for name in ("one", "two"))
        assert one.manifest == two.manifest

    def test_an_artifact_with_other_weights_never_gets_into_a_bundle(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        honest = onnx_family.emit

        def planted(job: Job, recipe: Recipe, folder: Path) -> Emitted:
            emitted = honest(job, recipe, folder)
            model = onnx.load(emitted.entry)
            weights = next(tensor for tensor in model.graph.initializer if len(tensor.dims) == 4)
            changed = numpy_helper.to_array(weights) * np.float32(1.01)
            weights.CopyFrom(numpy_helper.from_array(changed, weights.name))
            onnx.save(model, emitted.entry)
            return emitted

        monkeypatch.setattr(onnx_family, "emit", planted)
        with pytest.raises(
            ModelFileError, match=r"x86-onnxruntime fp32 in f32: run in f32, output 'density' is off by 0\.0"
        ):
            build(quick(write_model_dir(tmp_path / "model"), tmp_path / "a.bundle", "x86-onnxruntime"))
        assert [path.name for path in tmp_path.iterdir()] == ["model"], "nothing is left behind"

    def test_a_wrong_model_toml_shows_in_the_result_not_in_parity(self, tmp_path: Path) -> None:
        """Parity proves the conversion; what model.toml says is taken for true on both sides."""
        model = write_model_dir(tmp_path / "model", color='"bgr"')
        assert build(quick(model, tmp_path / "a.bundle", "x86-onnxruntime")).manifest.artifacts

    def test_a_full_disk_is_a_storage_error_whoever_writes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(_job: Job, _recipe: Recipe, folder: Path) -> Emitted:
            raise OSError(28, "No space left on device", str(folder))

        monkeypatch.setattr(onnx_family, "emit", full)
        with pytest.raises(StorageError, match="free some space"):
            build(quick(write_model_dir(tmp_path / "model"), tmp_path / "a.bundle"))
        assert [path.name for path in tmp_path.iterdir()] == ["model"]

    def test_openvino_s_word_for_a_full_disk_is_not_believed(self, tmp_path: Path) -> None:
        """It says "iostream error"; a limit on the size of files stands in for the full disk."""
        model = write_model_dir(tmp_path / "model")
        program = (
            "import resource, signal, sys\n"
            "from pathlib import Path\n"
            "from converters.cli import main\n"
            "from converters.families import openvino\n"
            "honest = openvino.ov.save_model\n"
            "def save(*arguments, **options):\n"
            "    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))\n"
            "    honest(*arguments, **options)\n"
            "openvino.ov.save_model = save\n"
            "main()\n"
        )
        command = [sys.executable, "-c", program, "build", model, "-t", "x86-openvino", "-o", tmp_path / "a.bundle"]
        command += ["-p", "fp32", "--pictures", "8", "--measure", "none"]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=ROOT, check=False)
        assert done.returncode == 2
        assert done.stderr.startswith("error: cannot write ")
        assert "File too large" in done.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["model"]

    def test_a_graph_that_only_the_checker_accepts_is_refused_by_its_runtime(self, tmp_path: Path) -> None:
        model = density_net()
        model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.zeros((8, 5, 3, 3), np.float32), "w1"))
        with pytest.raises(ModelFileError, match="ONNX Runtime does not run it"):
            build(quick(write_model_dir(tmp_path / "model", model), tmp_path / "a.bundle"))

    def test_a_std_that_blows_the_network_up_is_refused(self, tmp_path: Path) -> None:
        model = density_net()
        huge = np.full((8, 3, 3, 3), 1e38, np.float32)
        model.graph.initializer[0].CopyFrom(numpy_helper.from_array(huge, "w1"))
        with pytest.raises(ModelFileError, match="output 'density' holds NaN or infinity in FP32"):
            build(quick(write_model_dir(tmp_path / "model", model), tmp_path / "a.bundle"))

    def test_what_is_at_out_is_looked_at_before_the_long_work(self, tmp_path: Path) -> None:
        (tmp_path / "precious").write_text("years of work")
        with pytest.raises(DocumentError, match="--out: expected a new path or an existing bundle"):
            build(quick(tmp_path / "no model here", tmp_path / "precious"))

    def test_steps_are_told(self, tmp_path: Path) -> None:
        told: list[tuple[str, int, int]] = []
        request = quick(write_model_dir(tmp_path / "model"), tmp_path / "a.bundle", "x86-onnxruntime")
        build(request, lambda what, done, total: told.append((what, done, total)))
        assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
        assert {done for _, done, _ in told} == set(range(8))
        assert {total for _, _, total in told} == {8}


WHOLE = density_net().SerializeToString()
HEAD, TAIL = 480, 320  # bytes of its operators, and of its inputs and outputs; weights lie between


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    flips=st.lists(
        st.tuples(st.integers(0, HEAD - 1) | st.integers(len(WHOLE) - TAIL, len(WHOLE) - 1), st.integers(0, 255)),
        min_size=1,
        max_size=3,
    )
)
def test_a_damaged_model_converts_or_is_refused_in_one_sentence(
    flips: list[tuple[int, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("converters.source.simplify", lambda _file, graph, _inputs, _reference: (graph, None))
    damaged = bytearray(WHOLE)
    for place_, value in flips:
        damaged[place_] = value
    folder = write_model_dir(tmp_path / "model")
    (folder / "model.onnx").write_bytes(bytes(damaged))
    sentence = ""
    try:
        build(quick(folder, tmp_path / "a.bundle", "x86-openvino", "x86-onnxruntime"))
    except EdgetallyError as error:
        sentence = str(error)
    assert "\n" not in sentence
