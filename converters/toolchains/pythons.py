"""Finding a Python of the version that a toolchain's lock was made for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_ASK = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
_TIME_LIMIT_S = 30.0


@dataclass(frozen=True)
class Python:
    """An interpreter that can make environments.

    Args:
        path: of the interpreter.
        version: ``major.minor``.
    """

    path: Path
    version: str


def find_python(versions: tuple[str, ...]) -> Python | None:
    """The first usable Python: the version named first wins, whichever place it comes from.

    Looked at, in this order: the variable ``EDGETALLY_PYTHON_3_12`` (which alone counts where it is set), this
    process's own, ``python3.12`` on the path, and pyenv's versions.
    """
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    # This process's own comes before all others: it is there, and the packages it fetched may still be in pip's cache.
    for version in sorted(versions, key=lambda version: version != own):
        for candidate in _candidates(version):
            if _answers(candidate) == version:
                return Python(candidate, version)
    return None


def variable(version: str) -> str:
    """Name of the variable that says where a Python is: ``3.12`` gives ``EDGETALLY_PYTHON_3_12``."""
    return "EDGETALLY_PYTHON_" + version.replace(".", "_")


def _candidates(version: str) -> Iterator[Path]:
    given = os.environ.get(variable(version))
    if given:
        yield Path(given)
        return
    yield Path(sys.executable)
    on_path = shutil.which(f"python{version}")
    if on_path:
        yield Path(on_path)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/python"), reverse=True)


def _answers(candidate: Path) -> str:
    """Its version; empty where it does not run: a shim of a version manager may stand for one that is not there."""
    command = [str(candidate), "-I", "-c", _ASK]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_TIME_LIMIT_S, check=False)  # noqa: S603 - a Python
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else ""
