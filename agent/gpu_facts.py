"""What GPU, JetPack, CUDA and TensorRT this box has, as facts.

Read from files below one root, so that trees of boards can be tested and nothing can hang; only where a discrete GPU's
compute capability stands in no file is ``nvidia-smi`` asked, with a time limit. What cannot be read is absent.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from agent.tree import read_text
from contracts.facts import FactValue

_TEGRA_SM = {"tegra210": 53, "tegra186": 62, "tegra194": 72, "tegra234": 87, "tegra264": 110}
"""Tegra's name in the device tree to its GPU's compute capability, times ten (NVIDIA's list of CUDA GPUs)."""

_JETPACK = {
    "32.6.1": "4.6",
    "32.7.1": "4.6.1",
    "32.7.2": "4.6.2",
    "32.7.3": "4.6.3",
    "32.7.4": "4.6.4",
    "32.7.5": "4.6.5",
    "32.7.6": "4.6.6",
    "35.1": "5.0.2",
    "35.2.1": "5.1",
    "35.3.1": "5.1.1",
    "35.4.1": "5.1.2",
    "35.5": "5.1.3",
    "35.6": "5.1.4",
    "35.6.1": "5.1.5",
    "36.3": "6.0",
    "36.4": "6.1",
    "36.4.3": "6.2",
    "36.4.4": "6.2.1",
    "36.5": "6.2.2",
    "38.2": "7.0",
    "38.2.1": "7.0",
    "38.4": "7.1",
    "39.2": "7.2",
    "39.2.1": "7.2.1",
}
"""Jetson Linux (L4T) to the JetPack that it came with, from NVIDIA's JetPack archive; without trailing zeros."""
_JETPACK_MAJOR = {"32": "4", "35": "5", "36": "6", "38": "7", "39": "7"}

_SMI_SECONDS = 5.0
_SMI = ("nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader")


def gpu_facts(
    root: Path = Path("/"),
    *,
    package: Callable[[str], str | None] | None = None,
    ask_driver: Callable[[], str] | None = None,
) -> dict[str, FactValue]:
    """The facts ``runtime.tensorrt``, ``runtime.tensorrt_rtx``, ``gpu.sm`` (87 is 8.7), ``gpu.driver``, ``cuda``,
    ``l4t``, ``jetpack`` and ``power_mode``, as far as they can be read.

    Args:
        root: the file system's root; tests give the tree of another board.
        package: the version of an installed Python package, or None; this environment's where it is not given.
        ask_driver: what ``nvidia-smi`` says of the compute capability; it is run where it is not given.
    """  # noqa: D205 - a list of names
    version = package or _package
    l4t = _l4t(root)
    driver = _first(root, r"Kernel Module.*?\s(\d+\.\d+(?:\.\d+)?)\s", "proc/driver/nvidia/version")
    sm = _tegra_sm(root)
    if sm is None and driver is not None:
        sm = _sm_of((ask_driver or _ask_driver)())
    facts: dict[str, FactValue | None] = {
        "runtime.tensorrt": _tensorrt(root, version("tensorrt")),
        "runtime.tensorrt_rtx": version("tensorrt_rtx"),
        "gpu.sm": sm,
        "gpu.driver": driver,
        "cuda": _cuda(root),
        "l4t": l4t,
        "jetpack": _jetpack(root, l4t),
        "power_mode": _power_mode(root),
    }
    return {name: value for name, value in facts.items() if value is not None}


def _tensorrt(root: Path, package: str | None) -> str | None:
    """The version with as many numbers as can be had: the package says three of them on JetPack, the library's four."""
    installed = [found for found in (_header(root), _dpkg(root, r"libnvinfer\d+"), _library(root)) if found]
    if package is None:
        return max(installed, key=lambda found: found.count("."), default=None)
    longer = [found for found in installed if found.startswith(f"{package}.")]
    return longer[0] if longer else package


def _header(root: Path) -> str | None:
    """Of the C++ header: ``NV_TENSORRT_MAJOR 8``, from 10 on ``TRT_MAJOR_ENTERPRISE 10``."""
    for path in sorted((root / "usr/include").glob("*/NvInferVersion.h")):
        text = read_text(path)
        numbers = [
            _field(text, rf"^#define (?:NV_TENSORRT_{part}|TRT_{part}_ENTERPRISE) (\d+)")
            for part in ("MAJOR", "MINOR", "PATCH", "BUILD")
        ]
        if all(numbers):
            return ".".join(number for number in numbers if number)
    return None


def _library(root: Path) -> str | None:
    """Of the library's file name, ``libnvinfer.so.8.5.2``."""
    for path in sorted((root / "usr/lib").glob("*-linux-gnu/libnvinfer.so.*.*")):
        return path.name.removeprefix("libnvinfer.so.")
    return None


def _dpkg(root: Path, name: str) -> str | None:
    """The version of an installed Debian package, without its revision: ``8.5.2-1+cuda11.4`` gives ``8.5.2``."""
    text = read_text(root / "var/lib/dpkg/status")
    for block in re.finditer(rf"^Package: {name}\n(?:[^\n]+\n)*", text, re.MULTILINE):
        if re.search(r"^Status: .* installed$", block[0], re.MULTILINE):
            return _field(block[0], r"^Version: (?:\d+:)?(\d+(?:\.\d+)*)")
    return None


def _tegra_sm(root: Path) -> int | None:
    """By the chip in the device tree's ``compatible``, names that end with a zero byte each, the chip's last."""
    for path in ("proc/device-tree/compatible", "sys/firmware/devicetree/base/compatible"):
        chip = _field(read_text(root / path), r"nvidia,(tegra\d+)")
        if chip in _TEGRA_SM:
            return _TEGRA_SM[chip]
    return None


def _sm_of(said: str) -> int | None:
    """``8.6`` gives 86; the first GPU is the one that is used."""
    match = re.match(r"\s*(\d{1,2})\.(\d)\s*$", said.partition("\n")[0])
    return int(match[1]) * 10 + int(match[2]) if match else None


def _ask_driver() -> str:
    """What ``nvidia-smi`` says; a driver that hangs leaves a process behind, not this one waiting."""
    try:
        process = subprocess.Popen(  # noqa: S603 - a constant
            _SMI, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except OSError:
        return ""
    try:
        said, _ = process.communicate(timeout=_SMI_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return ""
    return said.decode(errors="replace")


def _l4t(root: Path) -> str | None:
    """``# R36 (release), REVISION: 4.3, ...`` gives ``36.4.3``; else from Jetson Linux's core package."""
    match = re.search(r"R(\d+)\s*\(release\),\s*REVISION:\s*(\d+(?:\.\d+)*)", read_text(root / "etc/nv_tegra_release"))
    return f"{match[1]}.{match[2]}" if match else _dpkg(root, "nvidia-l4t-core")


def _jetpack(root: Path, l4t: str | None) -> str | None:
    """From NVIDIA's meta package where it is installed, else by the Jetson Linux that it came with."""
    package = _dpkg(root, "nvidia-jetpack")
    if package or l4t is None:
        return package
    return _JETPACK.get(re.sub(r"(\.0)+$", "", l4t)) or _JETPACK_MAJOR.get(l4t.partition(".")[0])


def _cuda(root: Path) -> str | None:
    try:
        version = json.loads(read_text(root / "usr/local/cuda/version.json"))["cuda"]["version"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return _first(root, r"CUDA Version (\d+(?:\.\d+)*)", "usr/local/cuda/version.txt")
    return version if isinstance(version, str) and re.fullmatch(r"\d+(\.\d+)*", version) else None


def _power_mode(root: Path) -> str | None:
    """The mode's name where the board's table has it, else its number; ``pmode:0002`` in nvpmodel's state file."""
    number = _first(root, r"pmode:0*(\d+)", "var/lib/nvpmodel/status")
    if number is None:
        return None
    return _first(root, rf"POWER_MODEL\s+ID={number}\s+NAME=(\S+)", "etc/nvpmodel.conf") or number


def _package(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _first(root: Path, pattern: str, path: str) -> str | None:
    return _field(read_text(root / path), pattern)


def _field(text: str, pattern: str) -> str | None:
    match = re.search(pattern, text, re.MULTILINE)
    return match[1] if match else None
