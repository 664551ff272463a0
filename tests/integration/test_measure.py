"""Measuring real runtimes in a process of its own, and a bundle; what crashes or hangs costs a row, no more."""

from __future__ import annotations

import json
import os
import platform
import sys
from pathlib import Path

import onnx
import pytest
import typer
from typer.testing import CliRunner

from contracts.errors import BundleError, DeviceError
from contracts.manifest import Tuned
from contracts.model_spec import ModelSpec
from converters.bench import bench, job_of, run_benchmark, settings
from converters.bench_cli import bench as bench_command
from converters.fold import fold
from converters.speed import default_precision
from runtime.bundle import open_bundle
from runtime.environment import host_facts
from runtime.measure import Effort, MeasureJob
from tests.fakes.bundles import artifact, entry, make_bundle
from tests.unit.converters.networks import SIDE, density_net

SHORT = Effort(warmup_runs=2, warmup_seconds=0.0, runs=6, seconds=0.0)
SPEC = ModelSpec.model_validate(
    {
        "name": "tiny",
        "version": "1.0.0",
        "labels": ["vehicle"],
        "input": {"width": SIDE, "height": SIDE, "color": "rgb", "mean": [120.0], "std": [60.0]},
        "output": {"decoder": "density"},
    }
)


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    file = tmp_path / "model.onnx"
    onnx.save(fold(density_net(), SPEC.input), file)
    return file


def job(file: Path, backend: str = "onnxruntime", **changes: object) -> MeasureJob:
    made = MeasureJob(
        model_file=file, backend=backend, execution_precision="f32", spec=SPEC, input_name="image", effort=SHORT
    )
    return made.model_copy(update=changes)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_real_runtime_is_measured_in_a_process_of_its_own(
    model_file: Path, backend: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if backend == "openvino":
        from runtime.backends.quiet_openvino import ov

        ov.save_model(ov.convert_model(model_file), model_file.with_suffix(".xml"))
        model_file = model_file.with_suffix(".xml")
    (tmp_path / "runtime.py").write_text("raise RuntimeError('a stranger was imported')")
    monkeypatch.chdir(tmp_path)
    came = run_benchmark(job(Path(model_file.name), backend, lanes=2))
    assert {stage.n for stage in came.stages.values()} == {SHORT.runs}
    assert all(stage.min > 0 for stage in came.stages.values())
    assert min(came.load_ms, came.first_ms, came.fps, came.model_mb) > 0
    assert came.peak_mb > came.model_mb
    assert came.environment.runtime.startswith(f"{backend} ")
    assert (came.lanes, came.threads, came.execution_precision) == (2, 1, "f32")


def test_what_the_runtime_refuses_is_told_in_its_own_words(model_file: Path) -> None:
    with pytest.raises(DeviceError, match=r"was not measured: .*execution precision f32, got 'int3'"):
        run_benchmark(job(model_file, execution_precision="int3"))


def test_a_measurement_that_takes_too_long_is_ended(model_file: Path) -> None:
    with pytest.raises(DeviceError, match=r"not measured within 0\.05 s"):
        run_benchmark(job(model_file), time_limit_s=0.05)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo something went wrong >&2; kill -SEGV $$", "ended by SIGSEGV after: something went wrong"),
        ("exit 7", "ended with 7 and said nothing"),
        ("echo '{}'", "missing key 'execution_precision'"),
        ("echo nonsense", "Invalid JSON"),
    ],
)
def test_a_process_that_crashes_or_answers_nonsense_is_a_typed_error(
    model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(DeviceError, match=said):
        run_benchmark(job(model_file))


def bundle_of(root: Path, model: Path, elsewhere: str) -> Path:
    """One artifact that runs here, one whose backend finds rubbish, and two that do not fit."""
    root.mkdir()
    shapes = {
        "inputs": [{"name": "image", "dtype": "uint8", "shape": [1, SIDE, SIDE, 3]}],
        "outputs": [{"name": "density", "dtype": "float32", "shape": [1, 1, SIDE // 4, SIDE // 4]}],
        "execution_precisions": ["f32"],
    }
    file = entry(root, "artifacts/here-onnxruntime/fp32/model.onnx", model.read_bytes())
    return make_bundle(
        root,
        [
            artifact(root, "here-onnxruntime/fp32", files=[file], entry=file["path"], **shapes),
            artifact(root, "rubbish-onnxruntime/fp32", **shapes),
            artifact(root, "elsewhere/fp32", requires=[{"fact": "arch", "equals": elsewhere}], **shapes),
            artifact(root, "future/fp32", backend="unheard-of", **shapes),
        ],
        model=SPEC.model_dump(mode="json"),
    )


@pytest.fixture
def bundle(tmp_path: Path, model_file: Path) -> Path:
    return bundle_of(tmp_path / "bundle", model_file, "riscv64")


def test_every_artifact_of_a_bundle_is_a_row_whatever_becomes_of_it(bundle: Path) -> None:
    told: list[tuple[str, int, int]] = []
    rows = bench(open_bundle(bundle), effort=SHORT, progress=lambda *each: told.append(each))
    count = len(settings(len(os.sched_getaffinity(0))))
    assert [row.status for row in rows] == ["kept"] * count + ["failed"] * count + ["not run", "not run"]
    assert rows[0].benchmark is not None
    assert sorted(row.rank for row in rows if row.rank) == list(range(1, count + 1))
    assert "ONNX Runtime does not load it" in rows[count].reason
    assert rows[-2].reason == f"needs arch riscv64, this device has {platform.machine()}"
    assert "needs backend 'unheard-of'" in rows[-1].reason
    assert [done for _, done, _ in told] == list(range(2 * count))


def test_zeros_are_not_measured_for_an_artifact(tmp_path: Path) -> None:
    tmp_path.joinpath("bundle").mkdir()
    made = make_bundle(tmp_path / "bundle", [artifact(tmp_path / "bundle", backend="null")])
    assert [row.status for row in bench(open_bundle(made), effort=SHORT)] == ["not run"]


def test_only_the_artifact_that_was_asked_for_is_measured(bundle: Path) -> None:
    rows = bench(open_bundle(bundle), effort=SHORT, only=["elsewhere/fp32"])
    assert [row.artifact for row in rows] == ["elsewhere/fp32"]
    with pytest.raises(BundleError, match="got artifact 'nothing'"):
        bench(open_bundle(bundle), effort=SHORT, only=["nothing"])


def test_a_file_that_was_changed_is_not_measured(bundle: Path) -> None:
    (bundle / "artifacts/here-onnxruntime/fp32/model.onnx").write_bytes(b"changed")
    with pytest.raises(BundleError, match="expected"):
        bench(open_bundle(bundle), effort=SHORT, only=["here-onnxruntime/fp32"])


def test_a_job_takes_what_was_tuned_for_the_artifact(bundle: Path) -> None:
    opened = open_bundle(bundle)
    tuned = opened.artifact("here-onnxruntime/fp32").model_copy(update={"tuned": {"f32": Tuned(scale=2.0)}})
    made = job_of(Path("x"), tuned, SPEC, "f32", (1, 2), SHORT)
    assert made.spec.output.model_dump()["scale"] == 2.0
    assert (made.lanes, made.threads, made.input_name) == (1, 2, "image")


def test_a_box_with_one_core_has_one_setting() -> None:
    assert settings(1) == [(1, 1)]
    assert settings(4) == [(1, 4), (4, 1)]


def app() -> typer.Typer:
    program = typer.Typer()
    program.command()(bench_command)
    return program


def test_the_command_prints_a_document_that_can_be_compared(bundle: Path) -> None:
    run = CliRunner().invoke(
        app(), [str(bundle), "--quick", "--json", "-a", "here-onnxruntime/fp32", "-a", "elsewhere/fp32"]
    )
    assert run.exit_code == 0, run.output
    document = json.loads(run.stdout)
    assert document["rows"][0]["speed"] == {"against_fp32": 1.0, "against_default": 1.0}
    assert document["rows"][0]["benchmark"]["quick"] is True
    assert document["rows"][-1]["status"] == "not run"


def test_the_command_ends_with_an_error_where_something_failed(bundle: Path) -> None:
    run = CliRunner(env={"COLUMNS": "200"}).invoke(app(), [str(bundle), "--quick", "-a", "rubbish-onnxruntime/fp32"])
    assert isinstance(run.exception, DeviceError)
    assert "rubbish-onnxruntime/fp32: failed" in run.stdout


def test_openvino_takes_by_itself_what_we_say_it_takes(model_file: Path) -> None:
    from runtime.backends.quiet_openvino import hints, ov

    compiled = ov.Core().compile_model(str(model_file), "CPU")
    came = compiled.get_property(hints.inference_precision()).to_string()
    assert came == default_precision("openvino", {}, host_facts())
