"""Packages of this checkout and of an older one, a bundle, and a bare system for each test."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.packaging.roots import Release, Root, bootstrap

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "packaging"
RELEASES = (Release("bookworm", "3.11"), Release("trixie", "3.13"))
NAMES = ("edgetally-agent", "edgetally-runtime-onnxruntime")
OLDER = "0.0.9"


@dataclass(frozen=True)
class Debs:
    """Two versions of the agent and of a runtime."""

    old: tuple[Path, ...]
    new: tuple[Path, ...]


def checkout(version: str, folder: Path) -> Path:
    """This tree with another version."""
    for name in ("contracts", "targets", "runtime", "converters", "agent", "fleet", "systemd", "packaging", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "requirements", folder / "requirements")
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(ROOT / name, folder)
    path = folder / "contracts" / "version.py"
    path.write_text(re.sub(r'^VERSION = ".*"', f'VERSION = "{version}"', path.read_text(), flags=re.MULTILINE))
    return folder


def build(what: str, source: Path, out: Path, *more: str) -> list[Path]:
    """Run the builder as `make deb` does.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    command = [sys.executable, "-m", "tools.packages", what, "--source", str(source), "--out", str(out)]
    command += ["--wheels", str(ROOT / "build" / "wheels"), *more]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}, check=True)
    return sorted(out.iterdir())


@pytest.fixture(scope="session")
def debs(tmp_path_factory: pytest.TempPathFactory) -> Debs:
    folder = tmp_path_factory.mktemp("debs")
    more = ["--arch", "amd64", *(part for name in NAMES for part in ("--package", name))]
    old = build("deb", checkout(OLDER, folder / "source"), folder / "old", *more)
    return Debs(tuple(old), tuple(build("deb", ROOT, folder / "new", *more)))


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The archive with install.sh, of an older version and of this one."""
    folder = tmp_path_factory.mktemp("archives")
    more = ["--arch", "amd64", "--runtime", "onnxruntime"]
    [old] = build("archive", checkout(OLDER, folder / "source"), folder / "old", *more)
    [new] = build("archive", ROOT, folder / "new", *more)
    return old, new


@pytest.fixture(scope="session")
def model_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped model, converted for whichever processor the agent will be on."""
    folder = tmp_path_factory.mktemp("model") / "bundle"
    command = [sys.executable, "-m", "converters.cli", "build", "models/vehicle-density", "--out", str(folder)]
    command += ["--target", "x86-onnxruntime", "--precision", "fp32", "--measure", "none"]
    subprocess.run(command, cwd=ROOT, check=True)
    return folder


@pytest.fixture(params=RELEASES, ids=lambda release: release.name)
def release(request: pytest.FixtureRequest) -> Release:
    found: Release = request.param
    return found


@pytest.fixture
def root(release: Release, tmp_path: Path) -> Root:
    """A bare system of that release, which is gone afterwards."""
    return Root.unpack(bootstrap(release, BUILD), tmp_path / "root")
