"""The wheels of the packages make an environment that counts on every Python that is found here, without a network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.packaging.conftest import Debs
from tools.packages.catalogue import PYTHONS

pytestmark = pytest.mark.packaging


def interpreter(version: str) -> str | None:
    """A Python of that version; a shim of a version manager may stand for one that is not chosen here."""
    managed = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for candidate in (shutil.which(f"python{version}"), *map(str, managed.glob(f"{version}.*/bin/python"))):
        command = [candidate or "false", "-c", "import venv"]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return candidate
    return None


@pytest.mark.parametrize("version", PYTHONS)
def test_the_environment_of_each_python_counts(version: str, debs: Debs, model_bundle: Path, tmp_path: Path) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"Python {version} is not here")
    for deb in debs.new:
        subprocess.run(["dpkg-deb", "-x", str(deb), str(tmp_path)], check=True)
    home = tmp_path / "opt" / "edgetally"
    command = [python, str(home / "lib" / "environment.py"), "make", "--home", str(home), "--main", "agent"]
    subprocess.run(["unshare", "--net", *command], check=True)
    agent = str(home / "current" / "bin" / "edgetally-agent")
    clip = "synthetic:frames=10,width=640,height=360"
    done = subprocess.run(
        [agent, "count", clip, "--bundle", str(model_bundle), "--json"], capture_output=True, check=True
    )
    assert json.loads(done.stdout)["artifact"] == "x86-onnxruntime/fp32"
