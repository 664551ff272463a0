"""What the demo's agent needs: a bundle of the model for this box, and a configuration."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from contracts.config import BrokerConfig
from contracts.errors import ArtifactError, EdgetallyError
from runtime.bundle import open_bundle, sha256
from runtime.model_dir import SPEC_NAME, read_model_dir

DEVICE = "demo"
CAMERA = "camera"
_TARGETS = {
    "x86_64": ("x86-openvino", "x86-onnxruntime"),
    "aarch64": ("arm64-onnxruntime",),
}


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


def prepare(model: Path, work: Path, source: str, broker: BrokerConfig) -> DemoFiles:
    """Convert the model unless that was done, and write agent.toml.

    Raises:
        EdgetallyError: the model cannot be converted here.
    """
    work.mkdir(parents=True, exist_ok=True)
    files = DemoFiles(current_bundle(model, work), work / "agent.toml", work / "agent.log")
    shutil.rmtree(work / "state", ignore_errors=True)
    files.config.touch(mode=0o600)
    files.config.chmod(0o600)  # the source may hold a password
    files.config.write_text(_agent_toml(files.bundle, work / "state", source, broker))
    return files


def current_bundle(model: Path, work: Path) -> Path:
    """The model's bundle for this box, converted unless that was done from these very files.

    Raises:
        EdgetallyError: the model cannot be converted here.
    """
    bundle = work / f"{model.name}.bundle"
    if not _is_current(model, bundle):
        _convert(model, bundle)
    return bundle


def _convert(model: Path, bundle: Path) -> None:
    # To FP32 and without timing: a first look should not wait for quantisers.
    targets = [part for name in _TARGETS.get(platform.machine(), ()) for part in ("--target", name)]
    command = [sys.executable, "-m", "converters.cli", "build", str(model), "--out", str(bundle), *targets]
    command += ["--precision", "fp32", "--measure", "none"]
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


def _agent_toml(bundle: Path, state: Path, source: str, broker: BrokerConfig) -> str:
    values = {"b": bundle, "s": state, "c": source, "h": broker.host, "p": broker.protocol}
    quoted = {name: json.dumps(str(value)) for name, value in values.items()}
    return f"""device = "{DEVICE}"
bundle = {quoted["b"]}
state_dir = {quoted["s"]}
window_seconds = 5
state_seconds = 0.5
health_seconds = 1

[broker]
host = {quoted["h"]}
port = {broker.port}
protocol = {quoted["p"]}

[[camera]]
id = "{CAMERA}"
source = {quoted["c"]}
"""
