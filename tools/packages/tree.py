"""Lays out what one package puts on a box, byte for byte the same for the same source."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import DocumentError
from tools.packages import environment
from tools.packages.catalogue import ARCHITECTURES, BIN, Package, Service
from tools.packages.locks import Box, Pin, added, read_lock
from tools.packages.wheels import Wheel, Wheelhouse

_VERSION = re.compile(r'^VERSION = "([^"]+)"$', re.MULTILINE)
_COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: edgetally

Files: *
Copyright: the authors of edgetally
License: Apache-2.0

License: Apache-2.0
 On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.

Comment: The wheels below /opt are other people's work, unchanged; each holds its own licence.
"""


@dataclass(frozen=True)
class Ingredients:
    """What packages are made of.

    Args:
        source: the checkout: locks, units, change log, and the version.
        architecture: Debian's name of it.
        pythons: for which the packages are.
        epoch: seconds; the time of every file in them.
        own: our own wheel.
        wheelhouse: gets the others.
    """

    source: Path
    architecture: str
    pythons: tuple[str, ...]
    epoch: int
    own: Wheel
    wheelhouse: Wheelhouse

    @property
    def version(self) -> str:
        """Of edgetally."""
        return read_version(self.source)

    def boxes(self) -> dict[str, Box]:
        """A kind of box for each Python."""
        return {python: Box(ARCHITECTURES[self.architecture], python) for python in self.pythons}

    def lock(self, name: str) -> Path:
        """A lock of the packages."""
        return self.source / "requirements" / "box" / name


def read_version(source: Path) -> str:
    """The version of a checkout.

    Raises:
        DocumentError: there is none.
    """
    path = source / "contracts" / "version.py"
    found = _VERSION.search(path.read_text())
    if found is None:
        raise DocumentError(str(path), ['expected a line VERSION = "…"'])
    return found[1]


def lay_out(package: Package, made_of: Ingredients, root: Path) -> int:
    """Write the package's files below root.

    Returns:
        The minor version of glibc 2 that the wheels need, 0 if none.

    Raises:
        EdgetallyError: a lock cannot be read or a wheel not had.
    """
    component = _below(root, package.home) / "components" / package.component
    glibc = _component(package, made_of, component)
    if package.service is not None:
        _library(made_of, _below(root, package.home) / "lib")
        _service(package, package.service, made_of.source, root)
    _documents(package, made_of, root / "usr" / "share" / "doc" / package.name)
    return glibc


def settle(root: Path, epoch: int) -> None:
    """Give every file the same time, and the modes that packages have."""
    for folder, _, files in os.walk(root, topdown=False):
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if os.access(path, os.X_OK) else 0o644)
            os.utime(path, (epoch, epoch), follow_symlinks=False)
        Path(folder).chmod(0o755)
        os.utime(folder, (epoch, epoch))


def _component(package: Package, made_of: Ingredients, folder: Path) -> int:
    (folder / "wheels").mkdir(parents=True)
    document = {
        "name": package.component,
        "version": made_of.version,
        "modules": package.modules,
        "jetpack": package.jetpack,
    }
    (folder / "component.json").write_text(json.dumps(document, indent=1) + "\n")
    glibc = 0
    for python, box in made_of.boxes().items():
        wheels = made_of.wheelhouse.fetch(_pins(package, made_of, box), box)
        if package.component == package.main:
            wheels = (*wheels, made_of.own)
        _put(wheels, folder / "wheels")
        (folder / f"requirements-{python}.txt").write_text("".join(f"{wheel.line}\n" for wheel in wheels))
        glibc = max(glibc, *(wheel.glibc for wheel in wheels))
    return glibc


def _pins(package: Package, made_of: Ingredients, box: Box) -> tuple[Pin, ...]:
    lock, base = made_of.lock(package.lock), made_of.lock(f"{package.main}.txt")
    return read_lock(lock, box) if lock == base else added(lock, base, box)


def _put(wheels: Sequence[Wheel], folder: Path) -> None:
    for wheel in wheels:
        if not (folder / wheel.path.name).exists():
            shutil.copyfile(wheel.path, folder / wheel.path.name)


def _library(made_of: Ingredients, folder: Path) -> None:
    folder.mkdir(parents=True)
    shutil.copyfile(Path(environment.__file__), folder / "environment.py")
    [box, *_] = made_of.boxes().values()
    _put(made_of.wheelhouse.fetch(read_lock(made_of.lock("pip.txt"), box), box), folder)


def _service(package: Package, service: Service, source: Path, root: Path) -> None:
    installed = f"{package.home}/current/bin/{service.command}"
    for folder in ("/usr/bin", BIN):
        link = _below(root, folder) / service.command
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(installed)
    units = _below(root, "/usr/lib/systemd/system")
    units.mkdir(parents=True)
    for unit in (*service.units, *service.called):
        shutil.copyfile(source / "systemd" / unit, units / unit)
    accounts = _below(root, "/usr/lib/sysusers.d")
    accounts.mkdir(parents=True)
    shutil.copyfile(source / "systemd" / "sysusers.d" / f"{package.name}.conf", accounts / f"{package.name}.conf")
    if service.drop_ins:
        chosen_from = _below(root, package.home) / "systemd"
        shutil.copytree(source / "systemd" / "drop-ins", chosen_from / "drop-ins")
        shutil.copy(source / "systemd" / "choose-drop-ins", chosen_from)


def _documents(package: Package, made_of: Ingredients, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "copyright").write_text(_COPYRIGHT)
    changes = (made_of.source / "CHANGELOG.md").read_bytes()
    (folder / "changelog.gz").write_bytes(gzip.compress(changes, mtime=0))
    if package.service is not None:
        for page in sorted((made_of.source / "docs").glob("*.md")):
            shutil.copyfile(page, folder / page.name)


def _below(root: Path, absolute: str) -> Path:
    return root / absolute.lstrip("/")
