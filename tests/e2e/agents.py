"""An agent as a process of its own, as a box runs it, and bundles that are built once."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

from typing_extensions import Self

from contracts.messages import CountReport
from tests.data import data_dir
from tests.integration.brokers import Watcher, wait_until

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0  # seconds; a loaded machine is slow, and only a failing test waits so long


def run_cli(module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run one of our command lines to its end."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def yolox_bundle(folder: Path) -> Path:
    """YOLOX-nano for OpenVINO and ONNX Runtime, built once in ``folder``, which all tests of a run share."""
    bundle = folder / "yolox.bundle"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not bundle.exists():
            model = folder / "yolox-nano"
            model.mkdir(exist_ok=True)
            shutil.copy(ROOT / "models/yolox-nano/model.toml", model)
            shutil.copy(data_dir() / "models/yolox_nano_416.onnx", model / "model.onnx")
            _build(model, bundle, data_dir() / "images/vehicle_topview")
    return bundle


def _build(model: Path, bundle: Path, frames: Path) -> None:
    targets = ["--target", "x86-openvino", "--target", "x86-onnxruntime"]
    targets += ["--precision", "fp32", "--pictures", "16", "--measure", "none"]
    run = run_cli("converters.cli", "build", model, "--calibration", frames, "--out", bundle, *targets)
    assert run.returncode == 0, run.stderr


class Agent:
    """A running agent.

    Args:
        folder: for its configuration, state and log.
        settings: agent.toml as a document; device, state_dir and broker host are filled in.
        program: module to run, and what comes before its own arguments.
        environment: added to this process's.
        until_end: end with the sources; a service does not.
    """

    def __init__(
        self,
        folder: Path,
        settings: dict[str, Any],
        *,
        program: Sequence[str] = ("agent.cli",),
        environment: Mapping[str, str] = MappingProxyType({}),
        until_end: bool = True,
    ) -> None:
        self.log = folder / "agent.log"
        self._config = folder / "agent.toml"
        self._command = [sys.executable, "-m", *program, "run", "--config", str(self._config)]
        self._command += ["--until-end"] if until_end else []
        self._environment = environment
        state = {"device": "box-1", "state_dir": str(folder / "state"), "window_seconds": 1, "health_seconds": 1}
        self._config.write_text(_toml(state | settings))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("EDGETALLY_")}
        environment |= self._environment
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, cwd=ROOT, env=environment)

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it was started, and has not ended since."""
        return self._process is not None and self._process.poll() is None

    def wait_for_log(self, text: str) -> None:
        """Wait until it has logged that, in any of its lives."""
        wait_until(lambda: text in self.log.read_text(errors="replace"))

    def stop(self) -> int:
        """Tell it to stop; returns its exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def wait(self) -> int:
        """Wait until it ends by itself; returns its exit code."""
        assert self._process is not None
        return self._process.wait(PATIENCE)

    def _end(self, how: signal.Signals) -> int:
        assert self._process is not None
        if self.is_running:
            self._process.send_signal(how)
        return self._process.wait(PATIENCE)


def camera(source: object, **more: Any) -> dict[str, Any]:
    """A camera's table."""
    return {"id": "gate", "source": str(source)} | more


def line(y: float) -> dict[str, Any]:
    """A line across the whole picture, from left to right: downwards is ``in``."""
    return {"name": "mid", "start": [0.0, y], "end": [1.0, y]}


def reports(watcher: Watcher) -> list[CountReport]:
    """The reports that came, each once, by their number."""
    read = [CountReport.model_validate_json(payload) for payload in watcher.payloads("/counts")]
    unique = {(report.store_id, report.seq): report for report in read}
    return [unique[key] for key in sorted(unique)]


def _toml(document: dict[str, Any], prefix: str = "") -> str:
    """A document as TOML: plain values first, then tables, then arrays of tables."""
    plain = {key: value for key, value in document.items() if not _is_table(value)}
    text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in plain.items())
    for key, value in document.items():
        if isinstance(value, dict):
            text += f"[{prefix}{key}]\n" + _toml(value, f"{prefix}{key}.")
        elif _is_table(value):
            for row in value:
                text += f"[[{prefix}{key}]]\n" + _toml(row, f"{prefix}{key}.")
    return text


def _is_table(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))
