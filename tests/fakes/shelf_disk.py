"""A shelf's disk whose power can be cut between any two operations, and whose unflushed bytes are then anything."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from agent.update.shelf_disk import Found, ShelfDisk
from tests.fakes.disk import PowerCut


@dataclass(eq=False)
class _File:
    data: bytes = b""
    safe: bytes = b""
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)  # where, and what; None: cut there

    def change(self, start: int, data: bytes | None) -> None:
        self.data = _changed(self.data, start, data)
        self.pending.append((start, data))

    def survive(self, dice: random.Random) -> bytes:
        """The flushed bytes, and of what was done since each part or none, whole or torn or as zeros."""
        data = self.safe
        for start, change in self.pending:
            fate = dice.choice(["lost", "there", "torn", "zero"])
            if fate == "lost":
                continue
            if change is None or fate == "there":
                data = _changed(data, start, change)
            elif fate == "torn":
                data = _changed(data, start, change[: dice.randint(0, len(change))])
            else:
                data = _changed(data, start, bytes(len(change)))
        return data


def _changed(before: bytes, start: int, data: bytes | None) -> bytes:
    if data is None:
        return before[:start]
    return before[:start].ljust(start, b"\0") + data + before[start + len(data) :]


_Node = _File | None  # None: a folder
_Change = tuple[set[str], Callable[[dict[str, _Node]], object]]  # the folders that it touches, and what it does


class FakeShelfDisk(ShelfDisk):
    """In memory. Names of one folder change in order, and are safe once it is flushed; bytes likewise, by file.

    Flushing one folder does nothing for another, as on btrfs (ext4's journal would flush both).

    Args:
        names: what is safely on it.

    Attributes:
        fail_in: operations until the next failure, None for no failure; a power cut where ``error`` is not set.
        error: number of the error that fails instead of the power.
        operations: what was done.
        space: bytes that are free.
    """

    def __init__(self, names: dict[str, _Node] | None = None) -> None:
        super().__init__(Path("/fake"))
        self._names: dict[str, _Node] = dict(names or {"": None})
        self._safe = dict(self._names)
        self._journal: list[_Change] = []
        self.fail_in: int | None = None
        self.error: int | None = None
        self.operations: list[str] = []
        self.space = 10**12

    def after_power_cut(self, dice: random.Random) -> FakeShelfDisk:
        """What is on it when the power is back."""
        names = dict(self._safe)
        for _, change in self._journal[: dice.randint(0, len(self._journal))]:
            change(names)
        survivors: dict[int, _File] = {}
        for node in names.values():
            if node is not None and id(node) not in survivors:
                data = node.survive(dice)
                survivors[id(node)] = _File(data, data)
        return FakeShelfDisk({name: None if node is None else survivors[id(node)] for name, node in names.items()})

    def copy(self) -> FakeShelfDisk:
        """The same again, with everything flushed."""
        copies = {id(node): _File(node.data, node.data) for node in self._names.values() if node is not None}
        return FakeShelfDisk({name: None if node is None else copies[id(node)] for name, node in self._names.items()})

    def content(self, folder: str) -> dict[str, bytes]:
        """Name to bytes of every file below a folder."""
        return {
            name.removeprefix(f"{folder}/"): node.data
            for name, node in self._names.items()
            if node is not None and name.startswith(f"{folder}/")
        }

    def spoil(self, name: str) -> None:
        """Turn a bit, as a dying card does."""
        file = self._file(name)
        file.data = file.safe = bytes([file.data[0] ^ 1]) + file.data[1:]

    def look(self, name: str) -> Found | None:
        if name not in self._names:
            return None
        node = self._names[name]
        if node is None:
            return Found(folder=True, size=0, links=2, file=0)
        links = sum(other is node for other in self._names.values())
        return Found(folder=False, size=len(node.data), links=links, file=id(node))

    def names(self, folder: str) -> list[str]:
        return sorted(name.rpartition("/")[2] for name in self._names if name and _folder(name) == folder)

    def free(self) -> int:
        return self.space

    def read(self, name: str, start: int, amount: int) -> bytes:
        return self._file(name).data[start : start + amount]

    def make(self, folder: str) -> None:
        if folder in self._names:
            return
        self._operate(f"make {folder}")
        self._flush(_folder(folder))
        self._names[folder] = self._safe[folder] = None

    def reserve(self, name: str, size: int) -> None:
        self._operate(f"reserve {name}")
        self._create(name)
        file = self._file(name)
        file.change(size, None)
        if len(file.data) < size:
            file.change(len(file.data), bytes(size - len(file.data)))

    def cut(self, name: str, size: int) -> None:
        self._operate(f"cut {name}")
        self._file(name).change(size, None)

    def put(self, name: str, start: int, data: bytes) -> None:
        self._operate(f"put {name}")
        self._file(name).change(start, data)

    def write(self, name: str, data: bytes) -> None:
        self._operate(f"write {name}")
        self._create(name)
        self._file(name).change(0, None)
        self._file(name).change(0, data)

    def sync(self, name: str) -> None:
        self._operate(f"sync {name}")
        file = self._file(name)
        file.safe = file.data
        file.pending.clear()

    def sync_names(self, folder: str) -> None:
        self._operate(f"sync_names {folder}")
        if self._names.get(folder, self) is not None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        self._flush(folder)

    def _flush(self, folder: str) -> None:
        for folders, change in self._journal:
            if folder in folders:
                change(self._safe)
        self._journal = [entry for entry in self._journal if folder not in entry[0]]

    def rename(self, old: str, new: str) -> None:
        self._operate(f"rename {old} {new}")
        assert old in self._names
        assert self._names.get(new, self) is not None, "a folder has that name"
        assert _folder(new) in self._names
        file = self._names[old]
        self._change({_folder(old), _folder(new)}, lambda names: _move(names, old, new, file))

    def link(self, name: str, second: str) -> None:
        self._operate(f"link {name} {second}")
        file = self._file(name)
        if second in self._names:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        self._change({_folder(second)}, lambda names: _add(names, second, file))

    def remove(self, name: str) -> None:
        if name not in self._names:
            return
        self._operate(f"remove {name}")
        self._file(name)
        self._change({_folder(name)}, lambda names: names.pop(name, None))

    def remove_folder(self, name: str) -> None:
        self._operate(f"remove_folder {name}")
        assert not self.names(name), "it is not empty"
        self._change({_folder(name)}, lambda names: _remove(names, name))

    def _create(self, name: str) -> None:
        if name not in self._names:
            assert _folder(name) in self._names
            file = _File()
            self._change({_folder(name)}, lambda names: _add(names, name, file))

    def _change(self, folders: set[str], change: Callable[[dict[str, _Node]], object]) -> None:
        change(self._names)
        self._journal.append((folders, change))

    def _file(self, name: str) -> _File:
        node = self._names.get(name)
        if node is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        return node

    def _operate(self, what: str) -> None:
        self.operations.append(what)
        if self.fail_in is not None:
            self.fail_in -= 1
            if self.fail_in < 0:
                self.fail_in = None
                if self.error is not None:
                    raise OSError(self.error, os.strerror(self.error))
                raise PowerCut


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _add(names: dict[str, _Node], name: str, file: _File) -> None:
    if _folder(name) in names:  # else its folder has another name by now, and this name was never flushed
        names[name] = file


def _move(names: dict[str, _Node], old: str, new: str, file: _Node) -> None:
    if file is not None:  # it is there under its new name even where its first one was never flushed
        names.pop(old, None)
        _add(names, new, file)
        return
    for name in [name for name in names if name == old or name.startswith(f"{old}/")]:
        names[new + name[len(old) :]] = names.pop(name)


def _remove(names: dict[str, _Node], folder: str) -> None:
    for name in [name for name in names if name == folder or name.startswith(f"{folder}/")]:
        del names[name]
