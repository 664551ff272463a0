"""One command converts a model for every kind of box, and every form that can run here counts what FP32 counts."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from converters.report.rows import Report, Row
from converters.report.write import read_report
from runtime.bundle import open_bundle
from targets.load import all_targets
from tests.data import data_dir

ROOT = Path(__file__).parents[2]
PICTURES = 8  # the emulator takes seconds a picture
TOOLS_ELSEWHERE = {"qualcomm-snpe"}  # only where the user has Qualcomm's SDK
SLOWEST = {  # minutes of emulation; what these chips have of their own, tests/integration/test_qnn.py tries
    "qualcomm-qnn-v68",
    "qualcomm-qnn-v75",
    "qualcomm-qnn-v79",
}
RUN_HERE = ("x86-openvino", "x86-onnxruntime", "x86-tflite", "qualcomm-qnn-v73")
ROUNDS = {"vehicle-density": 0, "yolox-nano": 1}  # its first layers' channels differ too much for one scale
CASES = [
    pytest.param(("vehicle-density", False), id="vehicle-density"),
    pytest.param(("vehicle-density", True), id="vehicle-density-all", marks=pytest.mark.slow),
    pytest.param(("yolox-nano", True), id="yolox-nano-all", marks=pytest.mark.slow),
]


def model_dir(name: str, folder: Path) -> Path:
    shutil.copytree(ROOT / "models" / name, folder)
    if name == "yolox-nano":
        shutil.copyfile(data_dir() / "models" / "yolox_nano_416.onnx", folder / "model.onnx")
    return folder


@pytest.fixture(scope="module", params=CASES)
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Report:
    model, slowest_too = request.param
    folder = tmp_path_factory.mktemp("all")
    command = [sys.executable, "-m", "converters.cli", "build", model_dir(model, folder / "model")]
    command += ["--out", folder / "all.bundle", "--calibration", data_dir() / "images" / "vehicle_topview"]
    command += ["--pictures", str(PICTURES), "--measure", "none", "--rounds", str(ROUNDS[model]), "--json"]
    command += ["--precision", "fp32", "--precision", "int8"]  # HTP's other forms take ten times as long to emulate
    asked = [target.name for target in all_targets() if slowest_too or target.name not in SLOWEST]
    if not slowest_too:
        command += [part for name in asked for part in ("--target", name)]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=ROOT, check=False)
    # Asked for by name, a target that gave nothing is an error at the end, of a bundle that is there all the same.
    lacking = [f"error: no artifact for {name}" for name in TOOLS_ELSEWHERE if name in asked]
    assert done.returncode == 0 or any(text in done.stderr for text in lacking), done.stderr
    json.loads(done.stdout)
    found = read_report(open_bundle(folder / "all.bundle"))
    assert {row.target for row in found.rows} == set(asked)
    return found


def kept(report: Report, target: str) -> list[Row]:
    return [row for row in report.rows if row.target == target and row.status == "kept"]


def test_every_target_gives_an_artifact_or_says_what_it_lacks(report: Report) -> None:
    asked = {row.target for row in report.rows}
    for target in (target for target in all_targets() if target.name in asked):
        rows = [row for row in report.rows if row.target == target.name]
        if target.name in TOOLS_ELSEWHERE:
            assert all(row.status == "not run" and "SNPE_ROOT" in row.reason for row in rows)
        else:
            assert kept(report, target.name), [(row.name, row.status, row.reason) for row in rows]


def test_what_is_kept_stays_within_the_budget_by_its_estimate(report: Report) -> None:
    for row in report.rows:
        if row.status == "kept" and row.accuracy:
            assert row.accuracy.loss <= row.accuracy.max_loss, row.name


@pytest.mark.parametrize("target", RUN_HERE)
def test_what_runs_here_was_judged_on_pictures(report: Report, target: str) -> None:
    assert any(row.accuracy and row.accuracy.n >= 8 for row in kept(report, target))


def test_no_evidence_is_claimed_that_is_not_there(report: Report) -> None:
    evidence = {target: {row.evidence for row in kept(report, target)} for target in (*RUN_HERE, "jetson-orin-jp6")}
    assert evidence["qualcomm-qnn-v73"] == {"emulated"}
    assert evidence["jetson-orin-jp6"] == {"built"}
    assert evidence["x86-openvino"] == {"measured"}
