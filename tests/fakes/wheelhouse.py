"""Wheels without an index."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runtime.bundle import sha256
from tools.packages.locks import Box, Pin
from tools.packages.wheels import Wheel


class Shelf:
    """Wheels that are there for every kind of box; nothing is fetched."""

    def __init__(self, *wheels: Path) -> None:
        self._wheels = {sha256(path): path for path in wheels}

    def fetch(self, pins: Sequence[Pin], box: Box) -> tuple[Wheel, ...]:
        return tuple(
            Wheel(self._wheels[digest], f"{pin.pinned} --hash=sha256:{digest}")
            for pin in pins
            for digest in pin.hashes
            if digest in self._wheels
        )
