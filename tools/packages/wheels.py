"""Gets the wheels that a box needs: from the index by their hashes, once; our own is built here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from contracts.errors import ToolchainMissingError
from runtime.bundle import sha256
from tools.packages.locks import Box, Pin

# The oldest system with one of our Pythons is Ubuntu 22.04 with JetPack 6 on it: glibc 2.35 (`ldd --version`).
NEWEST_GLIBC = 35
_OLDEST_GLIBC = 17  # manylinux2014, below which no wheel of Python 3.10 is
_GLIBC = re.compile(r"manylinux_2_(\d+)_")


@dataclass(frozen=True)
class Wheel:
    """One file of a wheelhouse.

    Args:
        path: where it is.
        line: what a requirements file says about it: name, version and digest.
    """

    path: Path
    line: str

    @property
    def glibc(self) -> int:
        """The minor version of glibc 2 that it needs; 0 if it holds no machine code."""
        return min(map(int, _GLIBC.findall(self.path.name)), default=0)


class Wheelhouse(Protocol):
    """Where wheels come from."""

    def fetch(self, pins: Sequence[Pin], box: Box) -> tuple[Wheel, ...]:
        """A wheel for every pin, in their order.

        Raises:
            ToolchainMissingError: there is none that the lock allows and the box can take.
        """
        ...


class IndexWheels:
    """From pip's index; what was fetched before is taken from the folder.

    Args:
        folder: the cache, a folder below for each kind of box.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fetch(self, pins: Sequence[Pin], box: Box) -> tuple[Wheel, ...]:
        """See `Wheelhouse`."""
        folder = self._folder / f"{box.machine}-{box.python}"
        folder.mkdir(parents=True, exist_ok=True)
        here = _by_digest(folder)
        missing = [pin for pin in pins if not pin.hashes & here.keys()]
        if missing:
            _download(missing, box, folder)
            here = _by_digest(folder)
        return tuple(_wheel(pin, here) for pin in pins)


def build_own(source: Path, out: Path, epoch: int) -> Wheel:
    """Build our own wheel.

    Args:
        source: the checkout.
        out: where the wheel goes.
        epoch: seconds, the time of every file in it, so that the same source gives the same bytes.

    Raises:
        ToolchainMissingError: hatchling did not.
    """
    out.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out.resolve())]
    done = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolchainMissingError("hatchling", done.stderr.strip()[-500:], "see that the checkout is whole")
    [built] = out.glob("*.whl")
    version = built.name.split("-")[1]
    return Wheel(built, _line(f"edgetally=={version}", sha256(built)))


def _download(pins: Sequence[Pin], box: Box, folder: Path) -> None:
    """Markers were resolved for the box before: pip would resolve them for the Python that it runs on."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listed:
        for pin in pins:
            listed.write(f"{pin.pinned} {' '.join(f'--hash=sha256:{one}' for one in sorted(pin.hashes))}\n")
        listed.flush()
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--require-hashes", "--only-binary=:all:", "--dest", str(folder), "-r", listed.name]
        command += ["--implementation", "cp", "--python-version", box.python]
        for glibc in range(NEWEST_GLIBC, _OLDEST_GLIBC - 1, -1):
            command += ["--platform", f"manylinux_2_{glibc}_{box.machine}"]
        command += ["--platform", f"manylinux2014_{box.machine}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        wanted = ", ".join(pin.pinned for pin in pins)
        raise ToolchainMissingError(
            "wheels", f"{wanted} for {box}: {done.stderr.strip()[-800:]}", "see that pip reaches its index"
        )


def _wheel(pin: Pin, here: dict[str, Path]) -> Wheel:
    allowed = sorted(pin.hashes & here.keys(), key=lambda digest: here[digest].name)
    if not allowed:
        raise ToolchainMissingError("wheels", f"{pin.pinned} was fetched, but not as the lock has it", "run make lock")
    return Wheel(here[allowed[0]], _line(pin.pinned, allowed[0]))


def _line(pinned: str, digest: str) -> str:
    return f"{pinned} --hash=sha256:{digest}"


def _by_digest(folder: Path) -> dict[str, Path]:
    return {sha256(path): path for path in sorted(folder.glob("*.whl"))}
