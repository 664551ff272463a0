"""Checks of the box itself: what it is, its clock, its disk, its runtimes."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from agent.doctor.beside import tried
from agent.doctor.child import MultiplyJob
from agent.doctor.finding import Finding, of_trial
from agent.doctor.ground import USER, Ground
from agent.host import clock_synced
from agent.rpc.selftest import clock_trial, disk_trial
from contracts.facts import Facts
from runtime.backends.table import BACKENDS
from runtime.tensorrt.interpreter import other_python
from runtime.trial import TRIALS

_LEAST_MEMORY_MB = 900  # a box of 1 GB tells a little less; a small model, its runtime and four cameras take 500
_LEAST_FREE_MB = 500  # for logs, reports that wait and a model that comes
_MB = 1e6
_RUNTIME_SECONDS = 120.0  # TensorRT builds an engine first
_ALSO = {"tflite": ("tflite_runtime",)}
"""Packages that a backend takes as well."""

_ACCELERATORS = {
    "gpu.sm": ("an NVIDIA GPU", ("tensorrt", "tensorrt_rtx"), "edgetally[tensorrt]"),
    "intel.npu": ("an Intel NPU", ("openvino",), "edgetally[openvino]"),
    "intel.gpu": ("an Intel GPU", ("openvino",), "edgetally[openvino]"),
}
"""Fact to what it tells of, the backends that use it, and what to install."""


def hardware(ground: Ground) -> Iterator[Finding]:
    """What the box is, and whether anything uses what it has."""
    facts = ground.facts
    about = [str(facts[name]) for name in ("board", "cpu.model", "arch", "os.name") if name in facts]
    memory = facts.get("memory_mb")
    about += [f"{facts['cpu.count']} cores"] if "cpu.count" in facts else []
    about += [f"{memory} MB"] if memory is not None else []
    yield Finding("hardware", "ok", ", ".join(about))
    if isinstance(memory, int) and memory < _LEAST_MEMORY_MB:
        text = f"{memory} MB of memory are few: expect one small model and a camera or two"
        yield Finding("memory", "warning", text, "sudo apt install zram-tools")
    for fact, (what, backends, package) in _ACCELERATORS.items():
        if fact in facts and not any(installed(one) for one in backends):
            text = f"the box has {what}, and nothing that is installed uses it"
            yield Finding("accelerator", "warning", text, f"{_pip()} install '{package}'")


def clock(ground: Ground) -> Iterator[Finding]:
    """Whether the time of a report can be believed."""
    del ground
    yield of_trial(clock_trial(clock_synced), "sudo timedatectl set-ntp true", level="warning")


def disk(ground: Ground) -> Iterator[Finding]:
    """Whether the state directory takes a file, and how much is free."""
    config = ground.config
    if config is None:
        return
    state = Path(config.state_dir)
    if not state.exists():
        yield Finding("disk", "unknown", f"{state} is not there yet; the agent makes it when it starts")
        return
    yield of_trial(disk_trial(state), f"sudo chown -R {USER}: {state}; findmnt -T {state}")
    room = os.statvfs(state)
    free_mb = room.f_bavail * room.f_frsize / _MB
    if free_mb < max(_LEAST_FREE_MB, config.update.keep_free_mb):
        text = f"{free_mb:.0f} MB are free where {state} is: reports that wait are dropped once it is full"
        yield Finding("free space", "warning", text, "sudo journalctl --vacuum-size=100M && sudo apt clean")
    if room.f_files and room.f_favail < room.f_files / 100:
        yield Finding("inodes", "warning", f"of the file system's inodes {room.f_favail} are left", f"df -i {state}")


def runtimes(ground: Ground) -> Iterator[Finding]:
    """Whether each runtime that is installed loads, and multiplies two numbers; where one does, others are spare."""
    found = [_multiplies(backend, ground.facts) for backend in TRIALS if installed(backend)]
    spare = any(one.level == "ok" for one in found)
    yield from (replace(one, level="warning") if spare and one.level == "wrong" else one for one in found)
    if all(one.level == "unknown" for one in found):
        text = "no inference runtime is installed that this box can use, so nothing can be counted"
        yield Finding("runtimes", "wrong", text, f"{_pip()} install 'edgetally[{_fitting(ground.facts)}]'")


def _multiplies(backend: str, facts: Facts) -> Finding:
    if backend.startswith("tensorrt") and "gpu.sm" not in facts:
        return Finding(f"runtime {backend}", "unknown", "it is installed, and no NVIDIA GPU is seen that it could use")
    do = f"{_pip()} install --force-reinstall 'edgetally[{BACKENDS[backend].extra}]'"
    return tried(f"runtime {backend}", MultiplyJob(backend=backend), _RUNTIME_SECONDS, do)


def installed(backend: str) -> bool:
    """Whether its runtime is here; nothing is imported."""
    packages = (BACKENDS[backend].package, *_ALSO.get(backend, ()))
    if any(package is not None and importlib.util.find_spec(package) is not None for package in packages):
        return True
    return backend == "tensorrt" and other_python(None) is not None


def _fitting(facts: Facts) -> str:
    return "tensorrt" if "jetpack" in facts else "openvino" if facts.get("arch") == "x86_64" else "onnxruntime"


def _pip() -> str:
    """The one of the environment that runs this."""
    return f"{Path(sys.executable).with_name('pip')}"
