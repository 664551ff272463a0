"""Fills the shell scripts of ``packaging/`` in for one package."""

from __future__ import annotations

import re
from pathlib import Path

from contracts.errors import UnknownNameError
from tools.packages.catalogue import CONFIG, Package

MAINTAINER_SCRIPTS = ("preinst", "postinst", "prerm", "postrm")
_SLOT = re.compile(r"@([A-Z]+)@")
_INCLUDE = re.compile(r"^#include (\S+)$", re.MULTILINE)


def maintainer_scripts(package: Package, folder: Path) -> dict[str, str]:
    """The scripts that dpkg runs, by name.

    Args:
        package: one with a service; those without need none.
        folder: ``packaging/scripts``.
    """
    return {name: filled(package, folder / f"{name}.sh") for name in MAINTAINER_SCRIPTS}


def filled(package: Package, path: Path) -> str:
    """A script with its includes in their places and its slots (``@HOME@``) filled.

    Raises:
        UnknownNameError: it has a slot that nothing fills.
    """
    text = _INCLUDE.sub(lambda found: (path.parent / found[1]).read_text().rstrip("\n"), path.read_text())
    values = _values(package)

    def value(found: re.Match[str]) -> str:
        if found[1] not in values:
            raise UnknownNameError("slot of a script", found[1], values)
        return values[found[1]]

    return _SLOT.sub(value, text)


def _values(package: Package) -> dict[str, str]:
    service = package.service
    if service is None:
        raise UnknownNameError("package with a service", package.name, ())
    return {
        "PACKAGE": package.name,
        "HOME": package.home,
        "MAIN": package.main,
        "SERVICE": service.units[0],
        "UNITS": " ".join(service.units),
        "USER": service.user,
        "GROUPS": " ".join(service.groups),
        "COMMAND": service.command,
        "CONFIG": CONFIG,
        "CONFIGFILES": service.config_files,
        "STATE": f"/var/lib/{service.user}",
        "CACHE": f"/var/cache/{service.user}",
    }
