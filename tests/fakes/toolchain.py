"""A toolchain with a lock and a worker of the test's own, run by the real machinery."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from converters.toolchains.environment import Environment
from converters.toolchains.table import Toolchain

OWN = f"{sys.version_info[0]}.{sys.version_info[1]}"


@dataclass(frozen=True)
class LocalToolchain(Toolchain):
    """A toolchain whose files lie in a folder of the test."""

    folder: Path = Path()

    @property
    def lock(self) -> Path:
        return self.folder / "tiny.txt"

    @property
    def program(self) -> Path:
        return self.folder / self.worker


def make_toolchain(folder: Path, program: str = "", pythons: tuple[str, ...] = (OWN,)) -> LocalToolchain:
    """``tiny``, with an empty lock and this program as its worker."""
    (folder / "tiny.txt").write_text("# no packages\n")
    (folder / "worker.py").write_text(program)
    return LocalToolchain("tiny", pythons, "worker.py", 1, "for tests", folder)


def make_environment(folder: Path, program: str) -> Environment:
    """An environment whose Python is this one."""
    place = folder / "environment"
    (place / "bin").mkdir(parents=True)
    (place / "bin" / "python").symlink_to(sys.executable)
    return Environment(make_toolchain(folder, program), place)
