"""Makes the virtual environment of an installed edgetally, offline and for the box's own Python.

The packages ship this file as it is and their scripts run it, so it needs nothing but the standard library of
Python 3.10. What it finds below HOME, the folder given (``/opt/edgetally``)::

    components/NAME/component.json       name, version, modules to try, whether JetPack's own modules are wanted
    components/NAME/requirements-X.Y.txt one line a wheel, with its digest
    components/NAME/wheels/*.whl
    lib/pip-*.whl                        so that a box needs neither pip nor Debian's python3-venv

and what it makes there::

    environments/VERSION-cpXY-STAMP/     whole once the file COMPLETE is in it
    current -> environments/…            what runs; switched in one step, after the new one has proved to work
    previous -> environments/…           what ran before, for ``back``

Killed at any point, the next run goes on from what is whole.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

OLDEST, NEWEST = (3, 10), (3, 13)
COMPLETE = "COMPLETE"
JETPACK = Path("/etc/nv_tegra_release")
"""There on Jetson Linux, whose TensorRT belongs to the system's Python and comes in no wheel."""

# Its real name, python3.11 say: during an upgrade of the release `python3` is the new one while the old is still there.
_PYTHON = str(Path(sys.executable).resolve())
_STAMP_LENGTH = 12
_LINES_OF_PIP = 6  # its last words hold the reason
# No setting of a person's, no network, nothing beyond the list; what the system has is not taken for what is asked.
_PIP = (
    *("--isolated", "--no-input", "--disable-pip-version-check", "install", "--quiet", "--no-cache-dir", "--no-index"),
    *("--require-hashes", "--ignore-installed", "--only-binary=:all:", "--no-warn-script-location"),
    "--root-user-action=ignore",
)


class EnvironmentMakingError(Exception):
    """The environment was not made; what ran before runs on."""


@dataclass(frozen=True)
class Component:
    """What one package brought.

    Args:
        name: ``agent``, ``fleet`` or a runtime.
        version: of edgetally, the same for all that belong together.
        folder: where it is.
        modules: what must be importable in the finished environment.
        jetpack: whether it needs modules of JetPack's own Python.
    """

    name: str
    version: str
    folder: Path
    modules: tuple[str, ...]
    jetpack: bool

    @staticmethod
    def read(folder: Path) -> Component:
        """Read component.json.

        Raises:
            EnvironmentMakingError: it is not what the packages write.
        """
        try:
            document = json.loads((folder / "component.json").read_text())
            return Component(
                document["name"], document["version"], folder, tuple(document["modules"]), document["jetpack"]
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EnvironmentMakingError(
                f"{folder / 'component.json'}: {error!r}; install the package again"
            ) from error

    def requirements(self, python: str) -> list[str]:
        """One line a wheel for that Python ("3.11").

        Raises:
            EnvironmentMakingError: it has none for this Python.
        """
        path = self.folder / f"requirements-{python}.txt"
        if not path.is_file():
            there = sorted(one.stem.partition("-")[2] for one in self.folder.glob("requirements-*.txt"))
            raise EnvironmentMakingError(
                f"{self.name} is for Python {', '.join(there)}, and {_PYTHON} is {python}; "
                "install one of them, or a package that was built for yours"
            )
        return path.read_text().splitlines()


@dataclass(frozen=True)
class Plan:
    """The environment that belongs to what is installed.

    Args:
        folder: where it is, or will be.
        requirements: one line a wheel.
        modules: what must be importable in it.
        system_site: whether it sees the system's own Python packages.
    """

    folder: Path
    requirements: tuple[str, ...]
    modules: tuple[str, ...]
    system_site: bool


class Home:
    """The installed files, and the environments made from them.

    Args:
        root: the folder that holds them, ``/opt/edgetally``.
        main: the component that the others belong to.
        jetpack: a file that is there on JetPack.
    """

    def __init__(self, root: Path, main: str, jetpack: Path = JETPACK) -> None:
        self.root = root
        self.current = root / "current"
        self.previous = root / "previous"
        self._main = main
        self._jetpack = jetpack

    def make(self) -> str:
        """Make the environment unless it is there, prove that it works, and switch to it.

        Returns:
            What was done, for a person.

        Raises:
            EnvironmentMakingError: it was not made; ``current`` is as it was.
        """
        components = self._components()
        others = [f"{one.name} {one.version}" for one in components if one.version != components[0].version]
        if others and _is_whole(self.current):
            return (
                f"waits: {', '.join(others)} must become {components[0].version} as well; "
                f"until then {_target(self.current)} runs"
            )
        if others:
            raise EnvironmentMakingError(
                f"{self._main} is {components[0].version}, but {', '.join(others)}: install all in one version"
            )
        plan = self._plan(components)
        if _is_whole(plan.folder):
            self._switch(plan.folder)
            return f"{plan.folder.name} is in place"
        _build(plan, self._pip(), [one.folder / "wheels" for one in components])
        self._switch(plan.folder)
        return f"made {plan.folder.name}"

    def back(self) -> str:
        """Run what ran before.

        Raises:
            EnvironmentMakingError: there is none.
        """
        if not _is_whole(self.previous):
            raise EnvironmentMakingError(f"expected an earlier environment at {self.previous}, found none")
        before = self.previous.resolve()
        self._switch(before)
        return f"back to {before.name}"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else makes one meanwhile."""
        with (self.root / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _components(self) -> list[Component]:
        """The main one first."""
        folders = sorted(path.parent for path in self.root.glob("components/*/component.json"))
        found = sorted(map(Component.read, folders), key=lambda one: (one.name != self._main, one.name))
        if not found or found[0].name != self._main:
            raise EnvironmentMakingError(f"expected {self.root}/components/{self._main}; install the package again")
        return found

    def _plan(self, components: Sequence[Component]) -> Plan:
        python = "{}.{}".format(*sys.version_info[:2])
        lines = tuple(dict.fromkeys(line for one in components for line in one.requirements(python)))
        system_site = any(one.jetpack for one in components) and self._jetpack.exists()
        # The interpreter is in it, because a link to a Python that has moved would be dead.
        basis = json.dumps([lines, _PYTHON, system_site])
        stamp = hashlib.sha256(basis.encode()).hexdigest()[:_STAMP_LENGTH]
        name = f"{components[0].version}-cp{python.replace('.', '')}-{stamp}"
        modules = tuple(module for one in components for module in one.modules)
        return Plan(self.root / "environments" / name, lines, modules, system_site)

    def _pip(self) -> Path:
        found = sorted((self.root / "lib").glob("pip-*.whl"))
        if not found:
            raise EnvironmentMakingError(f"expected pip's wheel in {self.root / 'lib'}; install the package again")
        return found[-1]

    def _switch(self, folder: Path) -> None:
        before = self.current.resolve() if _is_whole(self.current) else None
        if before is not None and before != folder.resolve():
            _link(self.previous, before)
        _link(self.current, folder)
        kept = {folder.resolve(), self.previous.resolve()}
        for other in (self.root / "environments").iterdir():
            if other.resolve() not in kept:
                shutil.rmtree(other)


def _build(plan: Plan, pip: Path, wheels: Sequence[Path]) -> None:
    shutil.rmtree(plan.folder, ignore_errors=True)
    plan.folder.parent.mkdir(exist_ok=True)
    python = plan.folder / "bin" / "python"
    listed = plan.folder / "requirements.txt"
    found = [part for folder in wheels for part in ("--find-links", str(folder))]
    try:
        seen = ["--system-site-packages"] if plan.system_site else []
        _run("the environment", [_PYTHON, "-I", "-m", "venv", "--without-pip", *seen, str(plan.folder)])
        listed.write_text("".join(f"{line}\n" for line in plan.requirements))
        _run("installing the wheels", [str(python), "-s", "-E", f"{pip}/pip", *_PIP, *found, "-r", str(listed)])
        for module in plan.modules:
            _run(f"trying {module}", [str(python), "-I", "-c", f"import {module}"])
        os.sync()  # a power cut must not leave an environment that only looks whole
        (plan.folder / COMPLETE).touch()
    except (OSError, EnvironmentMakingError):
        shutil.rmtree(plan.folder, ignore_errors=True)
        raise


def _run(what: str, command: Sequence[str]) -> None:
    """Run it, without the settings that a person may have for pip and Python.

    Raises:
        EnvironmentMakingError: it failed, with its last lines.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    # Trying ONNX Runtime is not to be told to its maker (ADR 3).
    environment = {**kept, "PIP_CONFIG_FILE": os.devnull, "ORT_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-_LINES_OF_PIP:]
        ended = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
        raise EnvironmentMakingError("\n".join([f"{what} failed ({ended}); what ran before runs on", *said]))


def _is_whole(environment: Path) -> bool:
    return (environment / COMPLETE).is_file()


def _target(link: Path) -> str:
    return link.resolve().name


def _link(link: Path, folder: Path) -> None:
    """Point the link there, in one step that a power cut cannot halve."""
    fresh = link.with_name(f".{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(Path("environments") / folder.name)
    fresh.replace(link)
    parent = os.open(link.parent, os.O_RDONLY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)


def main() -> int:
    """``environment.py make | back --home HOME --main NAME``: 0, or 1 with the reason on stderr."""
    parser = argparse.ArgumentParser(description="Makes edgetally's virtual environment from the installed wheels.")
    parser.add_argument("action", choices=("make", "back"))
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--main", required=True)
    given = parser.parse_args()
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        sys.stderr.write(f"error: expected Python 3.10 to 3.13, {sys.executable} is {sys.version.split()[0]}\n")
        return 1
    os.umask(0o022)  # the service's own user reads what root makes here
    home = Home(given.home, given.main)
    try:
        with home.alone():
            done = home.make() if given.action == "make" else home.back()
    except (EnvironmentMakingError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{done}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
