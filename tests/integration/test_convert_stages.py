"""A network in two stages from model directory to counting: the first as the target wants it, the rest on the host."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from contracts.errors import BundleError, DocumentError, ModelFileError
from contracts.manifest import Artifact
from converters.bench import bench
from converters.build import build
from converters.ladder import Ladder
from converters.request import Request
from runtime.artifact_lanes import open_artifact_lanes
from runtime.bundle import Bundle, open_bundle
from runtime.golden import check_golden
from runtime.measure import Effort
from tests.unit.converters.networks import SIDE
from tests.unit.converters.staged_net import ENDS, write_two_stages

QUICKEST = Effort(warmup_runs=1, warmup_seconds=0, runs=2, seconds=0)
TARGETS = ("x86-openvino", "x86-onnxruntime", "jetson-orin-jp6", "deepstream")


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("staged")
    request = Request(
        write_two_stages(folder / "model"),
        folder / "bundle",
        TARGETS,
        precisions=("fp32", "fp16"),
        pictures=8,
        measuring="none",
    )
    return build(request)


def artifacts(bundle: Bundle) -> dict[str, Artifact]:
    return {artifact.id: artifact for artifact in bundle.manifest.artifacts}


def test_every_target_gets_its_first_stage_and_the_hosts(staged: Bundle) -> None:
    found = artifacts(staged)
    assert {"x86-openvino/fp32", "x86-onnxruntime/fp32", "jetson-orin-jp6/fp16", "jetson-orin-jp6/fp32"} <= found.keys()
    for artifact in found.values():
        assert artifact.host_stage is not None
        assert (artifact.host_stage.name, artifact.host_stage.backend) == ("heads", "onnxruntime")
        assert {tensor.name for tensor in artifact.outputs} == set(ENDS)
        assert [tensor.shape for tensor in artifact.host_stage.outputs] == [(1, 1, -1, 7)]
        assert "runtime.onnxruntime" in {requirement.fact for requirement in artifact.requires}
        assert artifact.host_stage.entry in {file.path for file in artifact.files}


def test_raw_errors_are_of_what_goes_between_and_the_budget_of_what_comes_out(staged: Bundle) -> None:
    (parity,) = [p for p in artifacts(staged)["x86-openvino/fp32"].parity if p.execution_precision == "f32"]
    assert {output.output for output in parity.outputs} == set(ENDS)
    assert parity.decoded is not None
    assert artifacts(staged)["x86-openvino/fp32"].accuracy["f32"].verdict == "passed"


def test_an_artifact_runs_whole_and_passes_its_golden_samples(staged: Bundle) -> None:
    artifact = artifacts(staged)["x86-openvino/fp32"]
    (lane,) = open_artifact_lanes(staged, artifact, execution_precision="f32")
    check_golden(lane, staged, artifact, "f32")
    frame = np.full((1, SIDE, SIDE, 3), 90, np.uint8)
    assert lane.infer({artifact.inputs[0].name: frame})["detection_out"].shape[::3] == (1, 7)
    lane.close()


def test_both_stages_are_measured_as_one(staged: Bundle) -> None:
    rows = bench(staged, effort=QUICKEST, only=["x86-onnxruntime/fp32"])
    assert {row.status for row in rows} == {"kept"}
    assert all(row.benchmark and row.benchmark.fps > 0 for row in rows)


def test_a_host_stage_that_was_changed_is_refused(staged: Bundle, tmp_path: Path) -> None:

    shutil.copytree(staged.path, tmp_path / "copy")
    copy = open_bundle(tmp_path / "copy")
    artifact = artifacts(copy)["x86-openvino/fp32"]
    assert artifact.host_stage is not None
    (copy.path / artifact.host_stage.entry).write_bytes(b"changed")
    with pytest.raises(BundleError, match=r"host\.onnx: expected \d+ bytes"):
        open_artifact_lanes(copy, artifact, execution_precision="f32")


def test_the_report_says_what_runs_where(staged: Bundle) -> None:
    page = (staged.path / "report.html").read_text()
    assert "features (to features, objectness) on the target, then heads on its host processor" in page


def test_deepstream_says_that_it_takes_no_stages(staged: Bundle) -> None:
    rows = json.loads((staged.path / "report.json").read_text())["rows"]
    reasons = {row["reason"] for row in rows if row["target"] == "deepstream"}
    assert len(reasons) == 1
    assert "nvinfer runs one network" in reasons.pop()


def test_layers_are_ranked_by_what_comes_out_of_the_last_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    recipes = Ladder._recipes

    def ranked(self: Ladder, *args: object) -> object:
        asked.append(len(self.rank()))
        return recipes(self, *args)  # type: ignore[arg-type] # handed on as they came

    monkeypatch.setattr(Ladder, "_recipes", ranked)
    model = write_two_stages(tmp_path / "model")
    build(Request(model, tmp_path / "out", ("x86-onnxruntime",), precisions=("fp32",), pictures=8, measuring="none"))
    assert asked == [2]  # both convolutions of the first stage, decoded through the second


def test_a_model_that_is_no_onnx_has_no_stages(tmp_path: Path) -> None:
    folder = write_two_stages(tmp_path / "model")
    (folder / "model.onnx").rename(folder / "model.xml")
    with pytest.raises(ModelFileError, match="only ONNX files can be cut into stages"):
        build(Request(folder, tmp_path / "out", ("x86-openvino",)))


def test_a_place_to_cut_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    folder = write_two_stages(tmp_path / "model", ends=("features", "objectnes"))
    with pytest.raises((ModelFileError, DocumentError), match="did you mean 'objectness'"):
        build(Request(folder, tmp_path / "out", ("x86-openvino",)))
