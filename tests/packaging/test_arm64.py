"""The packages for Arm, installed in a Debian for Arm whose programs are emulated one by one, count what x86 counts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packaging.conftest import BUILD, ROOT, build
from tests.packaging.emulation import arm64_runs
from tests.packaging.roots import Release, Root, bootstrap

pytestmark = pytest.mark.packaging

RELEASE = Release("bookworm", "3.11", "arm64")
NAMES = ("edgetally-agent", "edgetally-runtime-onnxruntime", "edgetally-runtime-tflite")
CLIP = "synthetic:frames=4,width=320,height=192"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "bundle"
    command = [sys.executable, "-m", "converters.cli", "build", "models/vehicle-density", "--out", str(folder)]
    command += ["--target", "arm64-onnxruntime", "--target", "arm64-tflite", "--target", "x86-onnxruntime"]
    subprocess.run([*command, "--precision", "fp32", "--measure", "none"], cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="module")
def arm(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Root]:
    folder = tmp_path_factory.mktemp("arm")
    only = ["--arch", "arm64", "--python", RELEASE.python, *(part for name in NAMES for part in ("--package", name))]
    debs = build("deb", ROOT, folder / "debs", *only)
    with arm64_runs(BUILD):
        root = Root.unpack(bootstrap(RELEASE, BUILD), folder / "root")
        root.run("dpkg", "--install", *root.put(*debs))
        root.put(bundle)
        yield root


def mean(told: str) -> float:
    return float(json.loads(told)["count"]["mean"])


@pytest.mark.parametrize("artifact", ["arm64-onnxruntime/fp32", "arm64-tflite/fp32"])
def test_an_arm_box_counts_what_this_machine_counts(arm: Root, bundle: Path, artifact: str) -> None:
    assert arm.run("uname", "-m").stdout == "aarch64\n"
    command = ["count", CLIP, "--json", "--bundle"]
    there = arm.run("edgetally-agent", *command, "/root/bundle", "--artifact", artifact).stdout
    assert json.loads(there)["artifact"] == artifact
    here = [sys.executable, "-m", "agent.cli", *command, str(bundle)]
    told = subprocess.run(here, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert mean(there) == pytest.approx(mean(told), abs=0.01)
