"""The benchmarks measure what they say, on a small model; how fast it is, is not asked here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.squares import write_bundle

ROOT = Path(__file__).parents[2]


def run(module: str, *arguments: object, code: int | None = 0) -> Any:
    """What a benchmark prints as JSON."""
    command = [sys.executable, "-m", module, *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert code is None or done.returncode == code, done.stderr
    return json.loads(done.stdout)


def capacity(folder: Path, *arguments: object) -> Any:
    bundle = write_bundle(folder / "bundle")
    return run("tools.capacity_bench", "--model", bundle, "--work", folder, "--lanes", 1, "--frames", 60, *arguments)


def test_agent_and_floor_are_measured_under_the_same_load(tmp_path: Path) -> None:
    found = capacity(tmp_path, "--cameras", 2, "--seconds", 2.5, "--bursts", 0, "--idle", 0)
    (pair,) = found["cameras"]["2"]
    ours, bare = pair["ours"], pair["bare"]
    assert ours["frames"] > 0
    assert bare["frames"] > 0
    assert ours["came"] >= ours["frames"] - 2, "a frame that is counted has come, in this time or just before"
    for stage in ("total", "published"):
        assert 0 < ours["stages"][stage]["p50"] <= ours["stages"][stage]["p95"] <= ours["stages"][stage]["p99"]
    assert ours["delivered"]["arrived"] == ours["delivered"]["expected"] > 0, "every report reached the consumer"
    assert {"decode", "inference", "camera", "lane", "mqtt", "committer", "MainThread"} <= set(ours["cpu"])
    assert ours["cpu"]["decode"] > 0
    assert sum(ours["cpu"].values()) == pytest.approx(ours["cpu_seconds"], rel=0.1)
    assert found["idle"] is None
    assert not found["as_fast_as_it_goes"]["x86-onnxruntime/fp32"]


@pytest.mark.slow
def test_efficiency_memory_and_idle_cpu_are_measured(tmp_path: Path) -> None:
    found = capacity(tmp_path, "--cameras", "", "--burst", 1, "--bursts", 1, "--idle", 3)
    (fast,) = found["as_fast_as_it_goes"]["x86-onnxruntime/fp32"]
    assert fast["ours"]["dropped"].get("late", 0) == 0, "as fast as it goes no frame is left out"
    assert fast["ours"]["rss_mb"] > fast["bare"]["rss_mb"] > 20
    assert found["cameras"] == {}
    assert found["idle"]["dropped"]["rate"] > 0, "of thirty frames a second five are counted"


def test_the_floor_imports_nothing_of_ours() -> None:
    """Its memory and its start are what the agent is compared with."""
    code = "import sys, tools.bench.bare; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    ours = {"agent", "contracts", "runtime", "pydantic", "paho", "openvino", "onnxruntime"}
    assert not ours & {name.partition(".")[0] for name in done.stdout.split()}


def test_a_soak_counts_right_while_cameras_break() -> None:
    found = run("tools.soak", 0.12, "--loose", 1, "--restart", 3, code=None)
    last = found["samples"][-1]
    assert found["crossed"] == found["true"]
    assert found["true"][0] > 0
    assert last["reconnects"] > 0
    assert found["restarts"] >= 1
    assert {"hour", "million_frames", "windows"} == set(found["growth"])


@pytest.mark.slow
def test_a_longer_soak_ends_with_files_and_threads_as_they_were() -> None:
    found = run("tools.soak", 4, code=None)
    half = found["samples"][len(found["samples"]) // 2 : -1]
    assert found["crossed"] == found["true"]
    assert len({sample["threads"] for sample in half}) <= 2, "a camera that opens again may have two for a moment"
    assert max(sample["files"] for sample in half) <= half[0]["files"] + 3
    assert found["box"]["by_windows"]["low"] <= 1.0
    assert found["box"]["by_frames"]["slope"] < 60, "a decoder that leaks 0.3 kB a picture gives 130"
