"""Reads the locks of ``requirements/box``, and what of them one kind of box needs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from contracts.errors import DocumentError

_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Box:
    """A kind of box.

    Args:
        machine: ``x86_64`` or ``aarch64``.
        python: "3.11".
    """

    machine: str
    python: str

    def markers(self) -> dict[str, str]:
        """What its Python answers to the markers of a requirement."""
        return {
            "extra": "",
            "implementation_name": "cpython",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_system": "Linux",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
        }


@dataclass(frozen=True)
class Pin:
    """One package in one version.

    Args:
        name: as the index normalises it.
        pinned: ``name==version``.
        hashes: SHA-256 of the files that the lock allows.
    """

    name: str
    pinned: str
    hashes: frozenset[str]


def read_lock(path: Path, box: Box) -> tuple[Pin, ...]:
    """What the lock holds for that box.

    Raises:
        DocumentError: a line is not ``name==version [; marker] --hash=sha256:…``.
    """
    return tuple(
        Pin(canonicalize_name(requirement.name), f"{requirement.name}{requirement.specifier}", hashes)
        for requirement, hashes in _lines(path)
        if requirement.marker is None or requirement.marker.evaluate(box.markers())
    )


def added(lock: Path, base: Path, box: Box) -> tuple[Pin, ...]:
    """What the lock adds to the base for that box.

    Raises:
        DocumentError: a lock cannot be read, or the two name different versions of a package.
    """
    there = {pin.name: pin for pin in read_lock(base, box)}
    pins = read_lock(lock, box)
    wrong = [
        f"{pin.pinned}: expected {there[pin.name].pinned}, as {base.name} has it; run make lock"
        for pin in pins
        if pin.name in there and there[pin.name].pinned != pin.pinned
    ]
    if wrong:
        raise DocumentError(str(lock), wrong)
    return tuple(pin for pin in pins if pin.name not in there)


def _lines(path: Path) -> Iterator[tuple[Requirement, frozenset[str]]]:
    for line in path.read_text().replace("\\\n", " ").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        hashes = frozenset(_HASH.findall(line))
        try:
            requirement = Requirement(line.partition(" --hash")[0])
        except InvalidRequirement as error:
            raise DocumentError(str(path), [f"{line[:80]!r}: {error}"]) from error
        pinned = [one.operator for one in requirement.specifier] == ["=="]
        if not hashes or not pinned:
            raise DocumentError(
                str(path), [f"{requirement}: expected one exact version with hashes of its files; run make lock"]
            )
        yield requirement, hashes
