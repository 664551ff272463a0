"""What a figure was taken on: this box, what slows it, its runtimes' versions and this process's memory.

Everything is read below one root, so that captured trees of real boards can be tested, and no runtime is imported.
What cannot be read is None or absent, never a zero.
"""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata
from pathlib import Path

from contracts.facts import FactValue
from contracts.measurement import Environment
from runtime.backends.table import BACKENDS
from runtime.instruction_sets import instruction_sets

_ROOT = Path("/")
_PLAUSIBLE_C = range(-40, 151)  # a sensor that is not wired says 0 K or 255


def read_environment(backend: str, root: Path = _ROOT) -> Environment:
    """The box as it is now.

    Args:
        backend: whose runtime's version is asked for.
        root: the file system's root; tests give the captured tree of another board.
    """
    version = _versions().get(f"runtime.{backend}")
    return Environment(
        device=host_name(root),
        cpus=_cpus(),
        isa=instruction_sets(_read(root / "proc/cpuinfo")),
        governor=_read(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").strip() or None,
        power_mode=_power_mode(root),
        temperature_c=_temperature(root),
        load_average=_load_average(root),
        python=platform.python_version(),
        runtime=f"{backend} {version}" if version else backend,
    )


def host_facts(root: Path = _ROOT) -> dict[str, FactValue]:
    """The facts of this box that can be told without an inference runtime or a driver.

    Args:
        root: the file system's root; tests give the captured tree of another board.
    """
    facts: dict[str, FactValue] = {
        "arch": platform.machine(),
        "os": platform.system().lower(),
        "cpu.count": _cpus(),
        "cpu.isa": instruction_sets(_read(root / "proc/cpuinfo")),
    }
    return facts | _versions()


def host_name(root: Path = _ROOT) -> str:
    """What this box is called beside a figure: board or processor, cores and GPUs; never its name in a network."""
    board = _read(root / "proc/device-tree/model").strip("\0\n ")
    processor = _field(_read(root / "proc/cpuinfo"), r"^model name\s*:\s*(.+)$")
    name = board or processor or platform.processor() or platform.machine()
    return ", ".join([name, f"{os.cpu_count()} CPUs", *_gpus(root)])


def resident_mb() -> float:
    """Resident memory of this process, MB of 10^6 bytes."""
    return _memory_mb("VmRSS")


def peak_mb() -> float:
    """Peak resident memory of this process, MB of 10^6 bytes.

    From VmHWM: getrusage's figure also holds the parent's memory from before the program was started.
    """
    return _memory_mb("VmHWM")


def _memory_mb(field: str) -> float:
    kib = _field(Path("/proc/self/status").read_text(encoding="utf-8"), rf"^{field}:\s*(\d+) kB$")
    if kib is None:
        raise RuntimeError(f"expected {field} in /proc/self/status, there is none")
    return int(kib) * 1024 / 1e6


def _cpus() -> int:
    return len(os.sched_getaffinity(0))


def _versions() -> dict[str, FactValue]:
    """``runtime.<backend>`` to the version of its package, where that is installed."""
    packages = {backend: entry.package for backend, entry in BACKENDS.items() if entry.package}
    found = {f"runtime.{backend}": _version(package) for backend, package in packages.items()}
    return {fact: version for fact, version in found.items() if version}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _power_mode(root: Path) -> str | None:
    """The mode of a Jetson: nvpmodel keeps its number in one file, the numbers' names in another."""
    number = _field(_read(root / "var/lib/nvpmodel/status"), r"pmode:\s*(\d+)")
    if number is None:
        return None
    mode = int(number)
    return _field(_read(root / "etc/nvpmodel.conf"), rf"POWER_MODEL\s+ID={mode}\s+NAME=([^\s>]+)") or f"mode {mode}"


def _temperature(root: Path) -> float | None:
    """Degrees Celsius of the hottest zone."""
    zones = (_read(zone).strip() for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*/temp")))
    degrees = [int(zone) / 1000 for zone in zones if re.fullmatch(r"-?\d+", zone)]
    return max((value for value in degrees if int(value) in _PLAUSIBLE_C and value), default=None)


def _load_average(root: Path) -> float | None:
    minute = _field(_read(root / "proc/loadavg"), r"^(\d+\.\d+)")
    return float(minute) if minute else None


def _gpus(root: Path) -> list[str]:
    files = sorted((root / "proc/driver/nvidia/gpus").glob("*/information"))
    return [name for file in files if (name := _field(_read(file), r"^Model:\s*(.+)$"))]


def _field(text: str, pattern: str) -> str | None:
    match = re.search(pattern, text, re.MULTILINE)
    return match[1].strip() if match else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # a sensor that is absent, or busy: told as None
        return ""
