"""What this box is, as facts that an artifact's requirements are compared with.

Everything is read below one root, so that captured trees of real boards can be tested, and no runtime is imported:
versions come from the installed packages' metadata. What cannot be read is absent, never a zero.
"""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata
from pathlib import Path

from agent.gpu_facts import gpu_facts
from agent.intel_facts import intel_facts
from contracts.facts import FactValue

RUNTIMES = {"openvino": "openvino", "onnxruntime": "onnxruntime", "qnn": "onnxruntime-qnn"}
"""Backend to the package whose version is the fact ``runtime.<backend>``."""

_TFLITE = ("ai-edge-litert", "tflite-runtime")
"""Packages that the backend ``tflite`` runs on, the one that it takes first. They number their versions apart, so that
what only the first can is asked of ``runtime.litert``."""

_ISA = frozenset(
    (
        *("avx", "avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
        *("amx_tile", "amx_int8", "amx_bf16", "fma", "sse4_2"),
        *("asimd", "asimdhp", "asimddp", "fphp", "i8mm", "bf16", "sve", "sve2"),
    )
)
"""Instruction sets that a runtime's kernels ask for: x86 flags and Arm features of /proc/cpuinfo."""


def device_facts(root: Path = Path("/")) -> dict[str, FactValue]:
    """The facts of this box.

    Args:
        root: the file system's root; tests give the captured tree of another board.
    """
    cpuinfo = _read(root / "proc/cpuinfo")
    facts: dict[str, FactValue | None] = {
        "arch": platform.machine(),
        "os": platform.system().lower(),
        "os.name": _field(_read(root / "etc/os-release"), r'^PRETTY_NAME="?([^"\n]+)'),
        "python": platform.python_version(),
        "cpu.model": _field(cpuinfo, r"^model name\s*:\s*(.+)$"),
        "cpu.count": len(os.sched_getaffinity(0)),
        "cpu.isa": _instruction_sets(cpuinfo),
        "memory_mb": _memory_mb(_read(root / "proc/meminfo")),
        "board": _read(root / "proc/device-tree/model").strip("\0\n ") or None,
    }
    facts |= {f"runtime.{backend}": _version(package) for backend, package in RUNTIMES.items()}
    facts["runtime.litert"] = _version(_TFLITE[0])
    facts["runtime.tflite"] = next((version for package in _TFLITE if (version := _version(package))), None)
    facts |= gpu_facts(root)
    facts |= intel_facts(root)
    return {name: value for name, value in facts.items() if value is not None}


def _instruction_sets(cpuinfo: str) -> tuple[str, ...] | None:
    flags = _field(cpuinfo, r"^(?:flags|Features)\s*:\s*(.+)$")
    return tuple(sorted(_ISA & set(flags.split()))) if flags else None


def _memory_mb(meminfo: str) -> int | None:
    kib = _field(meminfo, r"^MemTotal:\s*(\d+) kB")
    return int(kib) // 1024 if kib else None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _field(text: str, pattern: str) -> str | None:
    match = re.search(pattern, text, re.MULTILINE)
    return match[1].strip() if match else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
