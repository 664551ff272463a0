"""What this box is, as facts that an artifact's requirements are compared with.

Everything is read below one root, so that captured trees of real boards can be tested, and no runtime is imported:
versions come from the installed packages' metadata. What cannot be read is absent, never a zero.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from agent.gpu_facts import gpu_facts
from agent.intel_facts import intel_facts
from agent.soc_facts import soc_facts
from agent.tree import read_text
from contracts.facts import FactValue
from runtime.instruction_sets import instruction_sets

RUNTIMES = {"openvino": "openvino", "onnxruntime": "onnxruntime", "qnn": "onnxruntime-qnn"}
"""Backend to the package whose version is the fact ``runtime.<backend>``."""

_TFLITE = ("ai-edge-litert", "tflite-runtime")
"""Packages that the backend ``tflite`` runs on, the one that it takes first. They number their versions apart, so that
what only the first can is asked of ``runtime.litert``."""

_ROOT = Path("/")


def device_facts(
    root: Path = _ROOT,
    *,
    package: Callable[[str], str | None] | None = None,
    ask_driver: Callable[[], str] | None = None,
) -> dict[str, FactValue]:
    """The facts of this box.

    Args:
        root: the file system's root; tests give the tree of another board.
        package: the version of an installed Python package, or None; this environment's where it is not given.
        ask_driver: what a discrete GPU's driver says of it; see `agent.gpu_facts.gpu_facts`.
    """
    cpuinfo, meminfo = read_text(root / "proc/cpuinfo"), read_text(root / "proc/meminfo")
    version = package or _version
    facts: dict[str, FactValue | None] = {
        "arch": _arch(root),
        "os": platform.system().lower(),
        "os.name": _field(read_text(root / "etc/os-release"), r'^PRETTY_NAME="?([^"\n]+)'),
        "python": platform.python_version(),
        "cpu.model": _field(cpuinfo, r"^model name\s*:\s*(.+)$"),
        "cpu.count": _cpu_count(root, cpuinfo),
        "cpu.isa": instruction_sets(cpuinfo) or None,
        "memory_mb": _mb(meminfo, "MemTotal"),
        "swap_mb": _mb(meminfo, "SwapTotal"),
        "board": read_text(root / "proc/device-tree/model").strip("\0\n ") or None,
    }
    facts |= {f"runtime.{backend}": version(name) for backend, name in RUNTIMES.items()}
    facts["runtime.litert"] = version(_TFLITE[0])
    facts["runtime.tflite"] = next((found for name in _TFLITE if (found := version(name))), None)
    facts |= gpu_facts(root, package=package, ask_driver=ask_driver)
    facts |= intel_facts(root)
    facts |= soc_facts(root)
    return {name: value for name, value in facts.items() if value is not None}


def _arch(root: Path) -> str | None:
    """What the kernel says of itself, in a file from Linux 6.1 on; of another root nothing else may be told."""
    told = read_text(root / "proc/sys/kernel/arch").strip()
    return platform.machine() if root == _ROOT else told or None


def _cpu_count(root: Path, cpuinfo: str) -> int | None:
    if root == _ROOT:
        return len(os.sched_getaffinity(0))
    return len(re.findall(r"^processor\s*:", cpuinfo, re.MULTILINE)) or None


def _mb(meminfo: str, field: str) -> int | None:
    kib = _field(meminfo, rf"^{field}:\s*(\d+) kB")
    return int(kib) // 1024 if kib else None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _field(text: str, pattern: str) -> str | None:
    match = re.search(pattern, text, re.MULTILINE)
    return match[1].strip() if match else None
