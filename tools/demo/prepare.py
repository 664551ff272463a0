"""What the demo's agent needs: a bundle of the model for this box, and a configuration."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
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
    files = DemoFiles(current_bundle(model, work, first_look()), work / "agent.toml", work / "agent.log")
    shutil.rmtree(work / "state", ignore_errors=True)
    files.config.touch(mode=0o600)
    files.config.chmod(0o600)  # the source may hold a password
    files.config.write_text(_agent_toml(files.bundle, work / "state", source, broker))
    return files


def first_look() -> list[str]:
    """What the converter is asked for where somebody waits: FP32, untimed, for this kind of processor."""
    targets = [part for name in _TARGETS.get(platform.machine(), ()) for part in ("--target", name)]
    return [*targets, "--precision", "fp32", "--measure", "none"]


def current_bundle(model: Path, work: Path, asked: Sequence[str]) -> Path:
    """The model's bundle, converted unless that was done from these very files and as asked.

    Args:
        model: its directory.
        work: where the bundle goes.
        asked: further arguments of ``edgetally-convert build``.

    Raises:
        EdgetallyError: the model cannot be converted here.
    """
    bundle = work / f"{model.name}.bundle"
    made_from = f"{_fingerprint(model)} {' '.join(asked)}"
    if not _is_current(model, bundle, made_from):
        command = [sys.executable, "-m", "converters.cli", "build", str(model), "--out", str(bundle), *asked]
        if subprocess.run(command, check=False).returncode:
            raise ArtifactError(f"{model} could not be converted for this box; the reason stands above")
        _mark(model, bundle).write_text(made_from)
    return bundle


def _is_current(model: Path, bundle: Path, made_from: str) -> bool:
    mark = _mark(model, bundle)
    if not mark.is_file() or mark.read_text() != made_from:
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
