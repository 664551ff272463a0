"""A new bundle is tried in a process of its own, with a real runtime: what crashes or hangs there harms nobody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.update.errors import UpdateError, UpdateStoppedError
from agent.update.selftest import run_selftest
from agent.update.selftest_child import SelfTestJob
from contracts.config import RuntimeConfig
from contracts.manifest import MANIFEST_NAME, manifest_digest
from tests.fakes.bundles import entry
from tests.integration.density_bundles import NAME, density_bundle

pytest.importorskip("onnxruntime", reason="not run: ONNX Runtime is not installed")

SHORT = 0.05  # seconds of a measurement
PATIENCE = 120.0  # seconds


def job(bundle: Path, folder: Path, **wanted: Any) -> SelfTestJob:
    runtime = RuntimeConfig(**{"lanes": 2, "threads": 1} | wanted)
    facts: dict[str, Any] = {"cpu.count": 2}
    return SelfTestJob(bundle=bundle, facts=facts, wanted=runtime, engines=folder / "engines", seconds=SHORT)


def refused(bundle: Path, folder: Path, **more: Any) -> UpdateError:
    with pytest.raises(UpdateError) as caught:
        run_selftest(job(bundle, folder), **{"limit": PATIENCE} | more)
    return caught.value


def in_the_child(monkeypatch: pytest.MonkeyPatch, folder: Path, does: str) -> None:
    """Have the child do something where it imports ONNX Runtime."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import os, sys, time\n"
        "class Hook:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'onnxruntime':\n"
        f"            {does}\n"
        "sys.meta_path.insert(0, Hook())\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(folder))


def test_a_good_bundle_is_proven_and_measured_as_the_agent_would_run_it(tmp_path: Path) -> None:
    result = run_selftest(job(density_bundle(tmp_path / "b"), tmp_path), limit=PATIENCE)
    assert (result.setting.artifact, result.setting.lanes, result.setting.threads) == (NAME, 2, 1)
    assert (result.samples, result.on_processor, result.refused) == (1, True, {})
    assert result.figures.fps > 0
    assert result.peak_mb > 10
    assert result.frame_ms == pytest.approx(2000 / result.figures.fps)


def test_one_that_computes_something_else_here_is_refused_with_each_artifact_s_reason(tmp_path: Path) -> None:
    error = refused(density_bundle(tmp_path / "b", off=50.0), tmp_path)
    assert error.code == "golden_mismatch"
    assert NAME in error.reason
    assert "off by" in error.reason


def test_golden_samples_that_would_fill_the_memory_are_refused(tmp_path: Path) -> None:
    bundle = density_bundle(tmp_path / "b")
    np.savez_compressed(tmp_path / "bomb.npz", density=np.zeros((1, 1, 8192, 8192), np.float32))
    document = json.loads((bundle / MANIFEST_NAME).read_text())
    document["golden"][0]["expected"] = entry(bundle, "golden/0.npz", (tmp_path / "bomb.npz").read_bytes())
    document["digest"] = manifest_digest(document)
    (bundle / MANIFEST_NAME).write_text(json.dumps(document))
    error = refused(bundle, tmp_path)
    assert error.code == "bundle_invalid"
    assert "golden sample" in error.reason


def test_one_without_an_artifact_for_this_box_is_refused_with_the_fact_that_differs(tmp_path: Path) -> None:
    requires = [{"fact": "gpu.sm", "equals": 87}]
    error = refused(density_bundle(tmp_path / "b", requires=requires), tmp_path)
    assert error.code == "no_artifact_fits"
    assert "gpu.sm" in error.reason


def test_a_changed_file_is_no_crash(tmp_path: Path) -> None:
    bundle = density_bundle(tmp_path / "b")
    (bundle / f"artifacts/{NAME}/model.onnx").write_bytes(b"changed")
    assert refused(bundle, tmp_path).code == "bundle_invalid"


def test_a_file_that_is_no_network_does_not_fit(tmp_path: Path) -> None:
    bundle = density_bundle(tmp_path / "b")
    document = json.loads((bundle / MANIFEST_NAME).read_text())
    document["artifacts"][0]["files"] = [entry(bundle, f"artifacts/{NAME}/model.onnx", b"no network")]
    document["digest"] = manifest_digest(document)
    (bundle / MANIFEST_NAME).write_text(json.dumps(document))
    assert refused(bundle, tmp_path).code == "no_artifact_fits"


def test_a_runtime_that_crashes_ends_the_child_alone_and_is_told_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "os.write(2, b'fatal: no key at https://user:hunter2@host/x\\\\n'); os.abort()"
    in_the_child(monkeypatch, tmp_path / "site", words)
    error = refused(density_bundle(tmp_path / "b"), tmp_path)
    assert error.code == "selftest_crashed"
    assert "signal 6 (SIGABRT)" in error.reason
    assert "fatal: no key at" in error.reason
    assert "hunter2" not in error.reason


def test_one_that_ends_the_process_is_told_with_its_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_the_child(monkeypatch, tmp_path / "site", "os._exit(3)")
    error = refused(density_bundle(tmp_path / "b"), tmp_path)
    assert (error.code, "exit code 3" in error.reason) == ("selftest_crashed", True)


def test_one_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_the_child(monkeypatch, tmp_path / "site", "time.sleep(3600)")
    error = refused(density_bundle(tmp_path / "b"), tmp_path, limit=1.0)
    assert (error.code, "within 1 s" in error.reason) == ("selftest_crashed", True)


def test_whoever_stops_it_waits_no_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_the_child(monkeypatch, tmp_path / "site", "time.sleep(3600)")
    with pytest.raises(UpdateStoppedError):
        run_selftest(job(density_bundle(tmp_path / "b"), tmp_path), lambda: True)


def test_one_that_cannot_keep_up_with_the_cameras_is_refused_with_the_numbers(tmp_path: Path) -> None:
    error = refused(density_bundle(tmp_path / "b"), tmp_path, need=1e9)
    assert error.code == "too_slow"
    assert "1000000000.0 frames a second" in error.reason
