"""Making a toolchain's environment: locked, in a cache folder, whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import StorageError, ToolchainMissingError
from converters.toolchains.pythons import Python, find_python, variable
from converters.toolchains.table import Toolchain, toolchain

INSTALL_VARIABLE = "EDGETALLY_INSTALL_TOOLS"
"""Set to 1, a build installs what it misses."""

_TIME_LIMIT_S = 3600.0
_LAST_LINES = 3
# What would let another installation's packages into the environment.
_LEFT_OUT = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX", "PIP_USER")

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many packages are done and how many there are."""


@dataclass(frozen=True)
class Environment:
    """A toolchain's environment that is whole.

    Args:
        toolchain: whose it is.
        folder: where it lies.
    """

    toolchain: Toolchain
    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter; programs in its ``bin`` still name the folder that it was made in and are not used."""
        return self.folder / "bin" / "python"


def cache_folder() -> Path:
    """``EDGETALLY_CACHE``, else ``edgetally`` in XDG's cache folder."""
    given = os.environ.get("EDGETALLY_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgetally"


def installed(tool: Toolchain) -> Environment | None:
    """The environment of the present lock, with the best Python that it was made with; None where there is none."""
    folders = (_folder(tool, version) for version in tool.pythons)
    return next((Environment(tool, folder) for folder in folders if (folder / "bin" / "python").exists()), None)


def installing_allowed() -> bool:
    """Whether ``EDGETALLY_INSTALL_TOOLS`` lets a build install toolchains."""
    return os.environ.get(INSTALL_VARIABLE) == "1"


def ensure(name: str, *, allow_install: bool, progress: Progress = lambda _what, _done, _total: None) -> Environment:
    """The environment of a toolchain, made where that is allowed.

    Raises:
        UnknownNameError: there is no such toolchain.
        ToolchainMissingError: it is not there and may not be installed, a Python is missing, or pip failed.
        StorageError: the cache folder cannot be written.
    """
    tool = toolchain(name)
    found = installed(tool)
    if found:
        return found
    if not allow_install:
        raise ToolchainMissingError(
            name,
            "it is not installed",
            f"run: edgetally-convert tools install {name} ({tool.megabytes} MB), or set {INSTALL_VARIABLE}=1 to let a "
            "build install it",
        )
    python = find_python(tool.pythons)
    if python is None:
        raise ToolchainMissingError(
            name,
            f"it needs Python {' or '.join(tool.pythons)} with venv, which was not found",
            f"install it (Debian: apt install python{tool.pythons[0]}-venv) or set {variable(tool.pythons[0])} to it",
        )
    try:
        return _make(tool, python, progress)
    except OSError as error:
        raise StorageError(str(cache_folder()), error) from error


def remove(name: str) -> int:
    """Remove every environment of a toolchain, those of older locks too.

    Returns:
        How many there were.

    Raises:
        UnknownNameError: there is no such toolchain.
        StorageError: one cannot be removed.
    """
    tool = toolchain(name)
    folders = [folder for folder in _root().glob(f"{tool.name}-*-py*") if folder.is_dir()]
    try:
        for folder in folders:
            with _locked(folder):
                shutil.rmtree(folder)
    except OSError as error:
        raise StorageError(str(error.filename or _root()), error) from error
    return len(folders)


def _root() -> Path:
    return cache_folder() / "toolchains"


def _folder(tool: Toolchain, version: str) -> Path:
    return _root() / f"{tool.name}-{tool.lock_digest[:16]}-py{version}"


def _make(tool: Toolchain, python: Python, progress: Progress) -> Environment:
    folder = _folder(tool, python.version)
    with _locked(folder):
        if not folder.exists():  # another process may have made it while this one waited
            for half in _root().glob(f".{folder.name}.*"):
                shutil.rmtree(half)  # of a process that was killed: nobody else holds the lock
            with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=_root()) as building:
                _fill(tool, python, Path(building) / "environment", progress)
                (Path(building) / "environment").rename(folder)
    return Environment(tool, folder)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time; the lock goes with the process, however it ends."""
    _root().mkdir(parents=True, exist_ok=True)
    with (_root() / f".{folder.name}-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fill(tool: Toolchain, python: Python, folder: Path, progress: Progress) -> None:
    packages = tool.lock.read_text(encoding="utf-8").count("==")
    progress(f"making an environment with Python {python.version}", 0, packages)
    _call(tool, [str(python.path), "-m", "venv", str(folder)], lambda _line: None)
    begun = 0

    def follow(line: str) -> None:
        nonlocal begun
        if line.startswith("Collecting "):
            begun += 1
            progress(f"fetching {line.split()[1].partition('==')[0]}", min(begun, packages), packages)
        elif line.startswith("Installing collected"):
            progress("installing", packages, packages)

    pip = [str(folder / "bin" / "python"), "-I", "-m", "pip", "install", "--no-input", "--progress-bar", "off"]
    # The lock is the whole truth: it may leave out what the tool asks for and does not need here.
    pip += ["--disable-pip-version-check", "--only-binary", ":all:", "--no-deps"]
    pip += ["--require-hashes", "-r", str(tool.lock)]
    _call(tool, pip, follow)


def _call(tool: Toolchain, command: list[str], follow: Callable[[str], None]) -> None:
    """Run a step and hand on its lines.

    pip keeps the caller's variables (its index, certificates, proxies), unlike the tool itself later.
    """
    surroundings = {key: value for key, value in os.environ.items() if key not in _LEFT_OUT}
    # Its errors go to a file: two pipes read in turn could block one another.
    with tempfile.TemporaryFile() as errors:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=surroundings) as process:  # noqa: S603 - ours
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    follow(line.strip())
                process.wait(_TIME_LIMIT_S)
            except BaseException:
                process.kill()
                raise
        if process.returncode != 0:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip().splitlines()
            reason = " ".join(line for line in said if line.startswith("ERROR")) or " ".join(said[-_LAST_LINES:])
            raise ToolchainMissingError(
                tool.name, f"it could not be installed ({reason[:400]})", "check the network and the disk and try again"
            )
