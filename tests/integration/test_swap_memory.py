"""A model that was swapped out leaves no memory behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.agents import ROOT, yolox_bundle


@pytest.mark.slow
def test_memory_stays_level_over_many_swaps(tmp_path: Path) -> None:
    bundle = yolox_bundle(tmp_path)
    command = [sys.executable, "-m", "tools.bench.swap_memory", str(bundle), "--swaps", "20"]
    for artifact in ("x86-onnxruntime/fp32", "x86-openvino/fp32"):
        done = subprocess.run([*command, "--one", artifact], check=True, capture_output=True, text=True, cwd=ROOT)
        series = [float(mb) for mb in done.stdout.split()]
        assert max(series[-5:]) - min(series[:5]) < 30, series
