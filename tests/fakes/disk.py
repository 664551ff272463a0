"""A disk whose power can be cut: what was not flushed may be lost, cut short, or there."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

from agent.disk import Disk


class PowerCut(BaseException):
    """The machine is off: nothing of it goes on, not even what handles errors."""


class FakeDisk(Disk):
    """In memory. Like a journalling file system, names change in order, and bytes are safe only once flushed.

    Args:
        files: what is safely on it.

    Attributes:
        fail_in: operations until the next failure, None for no failure; a power cut where ``full`` is not set.
        full: fail as a full disk does instead.
        operations: how many there were.
    """

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        super().__init__(Path("/fake"))
        self._names = {name: [data, data] for name, data in (files or {}).items()}  # name to [bytes, safe bytes]
        self._safe_names = dict(self._names)
        self._renames: list[tuple[str, list[bytes]]] = []
        self.fail_in: int | None = None
        self.full = False
        self.operations = 0

    def make(self) -> None:
        pass

    def write(self, name: str, data: bytes) -> None:
        self._operate()
        self._names[name] = [data, b""]
        self._renames.append((name, self._names[name]))

    def sync(self, name: str) -> None:
        self._operate()
        self._names[name][1] = self._names[name][0]

    def rename(self, old: str, new: str) -> None:
        self._operate()
        self._names[new] = self._names.pop(old)
        self._renames.append((new, self._names[new]))

    def sync_names(self) -> None:
        self._operate()
        self._safe_names = dict(self._names)
        self._renames.clear()

    def read(self, name: str) -> bytes | None:
        found = self._names.get(name)
        return found[0] if found else None

    def after_power_cut(self, dice: random.Random) -> FakeDisk:
        """What is on it when the power is back."""
        names = dict(self._safe_names)
        names.update(self._renames[: dice.randint(0, len(self._renames))])
        return FakeDisk({name: self._survives(data, safe, dice) for name, (data, safe) in names.items()})

    @staticmethod
    def _survives(data: bytes, safe: bytes, dice: random.Random) -> bytes:
        return data if data == safe else dice.choice([b"", data, data[: dice.randint(0, len(data))], bytes(len(data))])

    def _operate(self) -> None:
        self.operations += 1
        if self.fail_in is not None:
            self.fail_in -= 1
            if self.fail_in < 0:
                self.fail_in = None
                if self.full:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                raise PowerCut
