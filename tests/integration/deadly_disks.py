"""Disks that end the process at one of their operations, before it, or half way through a write."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from agent.disk import Disk
from agent.update.shelf_disk import ShelfDisk


class Death:
    """Kills this process at an operation.

    Args:
        at: the operation, counted from 0; a write counts twice, the second time it is done by half. None for never.

    Attributes:
        operations: how many there were.
    """

    def __init__(self, at: int | None) -> None:
        self._at = at
        self.operations = 0

    def operate(self) -> None:
        if self._at is not None and self.operations >= self._at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.operations += 1

    def operate_in_two(self, half: Callable[[], object]) -> None:
        """Two operations: to die at the first is to die before it, at the second with half of it done."""
        self.operate()
        if self._at is not None and self.operations >= self._at:
            half()
        self.operate()


class DeadlyDisk(Disk):
    """Small files."""

    def __init__(self, directory: Path, death: Death) -> None:
        super().__init__(directory)
        self._death = death

    def write(self, name: str, data: bytes) -> None:
        self._death.operate_in_two(lambda: super(DeadlyDisk, self).write(name, data[: len(data) // 2]))
        super().write(name, data)

    def sync(self, name: str) -> None:
        self._death.operate()
        super().sync(name)

    def rename(self, old: str, new: str) -> None:
        self._death.operate()
        super().rename(old, new)

    def sync_names(self) -> None:
        self._death.operate()
        super().sync_names()


class DeadlyShelfDisk(ShelfDisk):
    """Models."""

    def __init__(self, top: Path, death: Death) -> None:
        super().__init__(top)
        self._death = death

    def make(self, folder: str) -> None:
        if not self.path(folder).is_dir():
            self._death.operate()
            super().make(folder)

    def reserve(self, name: str, size: int) -> None:
        self._death.operate_in_two(lambda: super(DeadlyShelfDisk, self).reserve(name, size // 2))
        super().reserve(name, size)

    def cut(self, name: str, size: int) -> None:
        self._death.operate()
        super().cut(name, size)

    def put(self, name: str, start: int, data: bytes) -> None:
        self._death.operate_in_two(lambda: super(DeadlyShelfDisk, self).put(name, start, data[: len(data) // 2]))
        super().put(name, start, data)

    def write(self, name: str, data: bytes) -> None:
        self._death.operate_in_two(lambda: super(DeadlyShelfDisk, self).write(name, data[: len(data) // 2]))
        super().write(name, data)

    def sync(self, name: str) -> None:
        self._death.operate()
        super().sync(name)

    def sync_names(self, folder: str) -> None:
        self._death.operate()
        super().sync_names(folder)

    def rename(self, old: str, new: str) -> None:
        self._death.operate()
        super().rename(old, new)

    def link(self, name: str, second: str) -> None:
        self._death.operate()
        super().link(name, second)

    def remove(self, name: str) -> None:
        if self.look(name) is not None:
            self._death.operate()
            super().remove(name)

    def remove_folder(self, name: str) -> None:
        self._death.operate()
        super().remove_folder(name)
