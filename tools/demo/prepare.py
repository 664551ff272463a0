"""What the demo's agent needs: a bundle of the model for this box, and a configuration."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from contracts.errors import ArtifactError, EdgetallyError
from runtime.bundle import open_bundle, sha256
from runtime.model_dir import SPEC_NAME, read_model_dir

DEVICE = "demo"
CAMERA = "camera"


@dataclass(frozen=True)
class DemoFiles:
    """Where the demo's files are.

    Args:
        bundle: the converted model.
        config: agent.toml.
        log: what the agent says.
    """

    bundle: Path
    config: Path
    log: Path


def prepare(model: Path, work: Path, source: str, host: str, port: int, console: Console) -> DemoFiles:
    """Convert the model unless that was done, and write agent.toml.

    Raises:
        EdgetallyError: the model cannot be converted here.
    """
    work.mkdir(parents=True, exist_ok=True)
    files = DemoFiles(work / f"{model.name}.bundle", work / "agent.toml", work / "agent.log")
    if _is_current(model, files.bundle):
        console.print(f"{files.bundle} is up to date")
    else:
        _convert(model, files.bundle)
    shutil.rmtree(work / "state", ignore_errors=True)
    files.config.write_text(_agent_toml(files.bundle, work / "state", source, host, port))
    return files


def _convert(model: Path, bundle: Path) -> None:
    command = [sys.executable, "-m", "converters.cli", "build", str(model), "--out", str(bundle)]
    if subprocess.run(command, check=False).returncode:
        raise ArtifactError(f"{model} could not be converted for this box; the reason stands above")
    _mark(model, bundle).write_text(_fingerprint(model))


def _is_current(model: Path, bundle: Path) -> bool:
    mark = _mark(model, bundle)
    if not mark.is_file() or mark.read_text() != _fingerprint(model):
        return False
    try:
        open_bundle(bundle).check()
    except EdgetallyError:
        return False
    return True


def _mark(model: Path, bundle: Path) -> Path:
    return bundle.parent / f"{model.name}.made-from"


def _fingerprint(model: Path) -> str:
    return f"{sha256(model / SPEC_NAME)} {sha256(read_model_dir(model).model_file)}"


def _agent_toml(bundle: Path, state: Path, source: str, host: str, port: int) -> str:
    quoted = {name: json.dumps(str(value)) for name, value in (("b", bundle), ("s", state), ("c", source), ("h", host))}
    return f"""device = "{DEVICE}"
bundle = {quoted["b"]}
state_dir = {quoted["s"]}
window_seconds = 5
state_seconds = 0.5
health_seconds = 1

[broker]
host = {quoted["h"]}
port = {port}

[[camera]]
id = "{CAMERA}"
source = {quoted["c"]}
"""
