"""Remote configuration under ``kill -9`` at every operation on the disk: afterwards it is the old one or the new.

A real disk and real processes: each operation of a change is one child that is killed there, before it or, for a
write, half way through. (`tests/unit/agent/remote/test_any_sequence.py` cuts the power, where unflushed bytes go too.)
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.disk import Disk
from agent.remote.control import RemoteConfig, RemoteSettings
from agent.remote.store import RemoteStore
from tests.fakes.applier import FakeApplier
from tests.unit.agent.remote.boxes import as_bytes, desired, local, time_text

ROOT = Path(__file__).resolve().parents[2]
OLD = {"window_seconds": 5}
NEW = {"window_seconds": 6}
MOVED = {"window_seconds": 6, "broker": {"host": "new.example"}}


class DeadlyDisk(Disk):
    """Kills this process at an operation.

    Args:
        directory: the folder.
        at: the operation, counted from 0; twice as many for those that are killed half way through.
    """

    def __init__(self, directory: Path, at: int) -> None:
        super().__init__(directory)
        self._left = at

    def write(self, name: str, data: bytes) -> None:
        self._operate()
        if self._left == 0:
            super().write(name, data[: len(data) // 2])
        self._operate()
        super().write(name, data)

    def sync(self, name: str) -> None:
        self._operate()
        super().sync(name)

    def rename(self, old: str, new: str) -> None:
        self._operate()
        super().rename(old, new)

    def sync_names(self) -> None:
        self._operate()
        super().sync_names()

    def _operate(self) -> None:
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1


def a_box(disk: Disk) -> tuple[RemoteConfig, FakeApplier]:
    remote = RemoteConfig(local(), RemoteStore(disk), RemoteSettings("boot", Path("/nowhere"), confirm_seconds=0.0))
    applier = FakeApplier(remote.config)
    applier.reachable = {"old.example:1883"}
    remote.start(applier, lambda _: None)
    return remote, applier


def _send(disk: Disk, config: dict[str, Any], revision: int) -> tuple[RemoteConfig, FakeApplier]:
    remote, applier = a_box(disk)
    later = {"issued": time_text(0), "expires": time_text(4e9)}
    remote.offer(as_bytes(desired(config, revision, **later)))
    remote.turn()
    return remote, applier


def _confirm(disk: Disk) -> None:
    remote, applier = a_box(disk)
    applier.reachable = None
    remote.turn()


CHANGES: dict[str, tuple[Callable[[Disk], object], Callable[[Disk], object]]] = {
    "a first document": (lambda _: None, lambda disk: _send(disk, OLD, 1)),
    "a second document": (lambda disk: _send(disk, OLD, 1), lambda disk: _send(disk, NEW, 2)),
    "a change of the connection": (lambda disk: _send(disk, OLD, 1), lambda disk: _send(disk, MOVED, 2)),
    "its confirmation": (lambda disk: (_send(disk, OLD, 1), _send(disk, MOVED, 2)), _confirm),
    "its end": (lambda disk: (_send(disk, OLD, 1), _send(disk, MOVED, 2)), lambda disk: a_box(disk)[0].turn()),
    "the page": (lambda disk: _send(disk, OLD, 1), lambda disk: a_box(disk)[0].set_page({"state_seconds": 3})),
}
"""What is there before, and the change."""


def kill_everywhere(directory: Path, change: str) -> list[dict[str, Any]]:
    """What is found after the change was killed at each of its operations; the last entry is of one that lived."""
    prepare, work = CHANGES[change]
    before = directory / "before"
    prepare(Disk(before))
    found = []
    for operation in range(100):
        here = directory / str(operation)
        if before.exists():
            shutil.copytree(before, here)
        child = os.fork()
        if child == 0:
            work(DeadlyDisk(here, operation))
            os._exit(0)
        killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
        found.append({"killed": killed, **_look(here)})
        if not killed:
            return found
    raise AssertionError("a change takes less than 100 operations")


def _look(directory: Path) -> dict[str, Any]:
    """What a start after it finds, apart from the probation's own count of starts."""
    kept = RemoteStore(Disk(directory)).load()
    remote, _ = a_box(Disk(directory))
    report = remote.reported()
    return {
        "damage": kept.damage,
        "order": kept.floors.order,
        "trial": kept.current.trial,
        "reported": report.config_revision,
        "window": remote.config.window_seconds,
        "broker": remote.config.broker.host,
        "state": remote.config.state_seconds,
    }


def kill_all(directory: Path) -> None:
    """What the process of the test does: every change, killed everywhere."""
    found = {change: kill_everywhere(directory / str(number), change) for number, change in enumerate(CHANGES)}
    sys.stdout.write(json.dumps(found))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """What was found, by change."""
    # A process of its own, as forking this one, with its threads, is not safe.
    program = "import sys; from pathlib import Path; from tests.integration import test_remote_kill as t; "
    program += "t.kill_all(Path(sys.argv[1]))"
    command = [sys.executable, "-c", program, str(tmp_path_factory.mktemp("killed"))]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    result: dict[str, list[dict[str, Any]]] = json.loads(run.stdout)
    return result


@pytest.mark.parametrize("change", CHANGES)
def test_killed_at_any_operation_it_is_the_old_or_the_new(found: dict[str, list[dict[str, Any]]], change: str) -> None:
    attempts = found[change]
    killed = [one for one in attempts if one["killed"]]
    assert len(killed) >= 5, "every change is written, flushed, renamed, and its name flushed"
    whole = ["reported", "window", "broker", "state", "trial"]
    old, *_, new = (tuple(one[key] for key in whole) for one in attempts)
    assert old != new
    assert {tuple(one[key] for key in whole) for one in attempts} == {old, new}
    assert not any(one["damage"] for one in attempts)
    orders = [one["order"] for one in attempts]
    assert orders == sorted(orders), "floors never fall"
