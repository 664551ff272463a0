"""Publishing under ``kill -9`` at every operation on the disk: afterwards it is released whole, or not at all.

A real disk and real processes: each operation is one child that is killed there, before it or, for a write, half way
through. Afterwards python-tuf's own client reads the repository, and publishing again finishes.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleet.publishing.change import Repository
from fleet.publishing.check import check
from fleet.publishing.files import DiskWriter, Files, Source, open_files
from fleet.publishing.keys import Keyring
from fleet.publishing.passphrases import Passphrases
from fleet.publishing.progress import silent
from fleet.publishing.publish import publish, withdraw
from fleet.publishing.roles import KeyRole, Validity
from fleet.publishing.rotate import Replacement, key_to_replace, pending_key, replace_key
from tests.integration.nginx import nginx
from tests.integration.tuf_reader import Reader
from tests.unit.fleet.repositories import Operator, bundle, now

ROOT = Path(__file__).resolve().parents[2]
OLD, NEW = ("fake", "1.0.0"), ("fake", "1.1.0")


class DeadlyWriter(DiskWriter):
    """Kills this process at an operation on the disk.

    Args:
        at: the operation, counted from 0; a write counts twice, for it is also killed half way through.
    """

    def __init__(self, at: int) -> None:
        self._left = at

    def _write(self, new: Path, source: Source) -> None:
        self._operate()
        data = source if isinstance(source, bytes) else source.read_bytes()
        if self._left == 0:
            new.write_bytes(data[: len(data) // 2])
        self._operate()
        super()._write(new, source)

    def _link(self, new: Path, place: Path) -> None:
        self._operate()
        super()._link(new, place)

    def _rename(self, new: Path, place: Path) -> None:
        self._operate()
        super()._rename(new, place)

    def _sync(self, path: Path) -> None:
        self._operate()
        super()._sync(path)

    def _operate(self) -> None:
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1


def the_repository(folder: Path, at: int | None = None) -> Repository:
    """A copy of the operator's folder, with a disk that kills at an operation."""
    top = folder / "repository"
    writer = DiskWriter() if at is None else DeadlyWriter(at)
    files = Files(open_files(str(top))._system, str(top), str(top), writer)
    keyring = Keyring((folder / "keys", folder / "offline"), Passphrases(None))
    return Repository(files, (folder / "root.json").read_bytes(), keyring, Validity(now(), {}))


def publish_new(repository: Repository, folder: Path) -> None:
    publish(repository, folder / "fake-1.1.0.bundle", silent)


def publish_first(repository: Repository, folder: Path) -> None:
    publish(repository, folder / "other-1.0.0.bundle", silent)


def withdraw_old(repository: Repository, _folder: Path) -> None:
    release = repository.state().find(*OLD)
    assert release is not None
    if release.info.withdrawn is None:
        withdraw(repository, *OLD, "counts vans twice")


def replace_online(repository: Repository, folder: Path) -> None:
    """Both keys are there from the beginning, as making one is not what is killed here."""
    _replace(repository, "online")


def replace_lost_online(repository: Repository, folder: Path) -> None:
    (folder / "keys/online-1.pem").unlink(missing_ok=True)
    _replace(repository, "online")


def replace_lost_targets(repository: Repository, folder: Path) -> None:
    (folder / "keys/targets-1.pem").unlink(missing_ok=True)
    _replace(repository, "targets")


def replace_release(repository: Repository, _folder: Path) -> None:
    _replace(repository, "release")


def _replace(repository: Repository, what: str) -> None:
    state = repository.state()
    role, old = key_to_replace(repository, state, what)
    new = pending_key(repository, state, role)
    if new is not None:
        replace_key(repository, state, Replacement(role, old, new))


CHANGES = {
    change.__name__: change
    for change in (
        publish_new,
        publish_first,
        withdraw_old,
        replace_online,
        replace_lost_online,
        replace_lost_targets,
        replace_release,
    )
}


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Operator:
    operator = Operator(tmp_path_factory.mktemp("killed"))
    operator.publish(*OLD)
    bundle(operator.folder, *NEW)
    bundle(operator.folder, "other", "1.0.0")
    (operator.folder / "root.json").write_bytes(operator.root)
    for role in ("online", "targets", "release"):
        operator.keyring().make(role, operator.keys, now(), unencrypted=True)
    return operator


def killed_everywhere(folder: Path, to: Path, change: Callable[[Repository, Path], None]) -> Iterator[Path]:
    """Copies of a folder in which the change was killed at each of its operations, and the last where it was not."""
    at = 0
    while True:
        copy = to / str(at)
        shutil.copytree(folder, copy)
        child = os.fork()
        if child == 0:
            change(the_repository(copy, at), copy)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        yield copy
        if not os.WIFSIGNALED(status):
            assert os.waitstatus_to_exitcode(status) == 0, f"the change failed at operation {at}"
            return
        at += 1


@pytest.mark.parametrize("name", CHANGES)
def test_killed_anywhere_a_change_is_made_or_not_and_made_by_the_next_try(
    operator: Operator, tmp_path: Path, name: str
) -> None:
    program = [
        sys.executable,
        "-m",
        "tests.integration.test_publishing_kill",
        str(operator.folder),
        str(tmp_path),
        name,
    ]
    run = subprocess.run(program, capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.returncode == 0, run.stderr
    copies = run.stdout.split()
    assert len(copies) > 15, "three files at the least, five operations each"
    before = everything(operator, operator.folder, tmp_path)
    after = everything(operator, Path(copies[-1]), tmp_path)
    with nginx(tmp_path) as url:
        for copy in map(Path, copies):
            seen = read(operator, copy, f"{url}/{copy.name}")
            if seen is None:
                assert name.startswith("replace_lost"), f"{copy.name}: no reader should be refused"
            else:
                assert seen in (before, after), copy.name
            CHANGES[name](the_repository(copy), copy)
            assert read(operator, copy, f"{url}/{copy.name}") == after, copy.name
            assert check(the_repository(copy), silent).problems == ()
            if name.startswith("replace"):
                role: KeyRole = "targets" if "targets" in name else "release" if "release" in name else "online"
                assert pending_key(the_repository(copy), the_repository(copy).state(), role) is None, "not replaced"


def everything(operator: Operator, folder: Path, tmp_path: Path) -> dict[str, object]:
    copy = tmp_path / f"{folder.name}-seen"
    shutil.copytree(folder, copy)
    with nginx(tmp_path) as url:
        seen = read(operator, copy, f"{url}/{copy.name}")
    assert seen is not None
    return seen


def read(operator: Operator, folder: Path, url: str) -> dict[str, object] | None:
    """What a box sees that trusts the first root: releases, whether they were withdrawn, and their files."""
    from tuf.api.exceptions import RepositoryError

    reader = Reader(folder / "reader", f"{url}/repository", operator.root)
    try:
        reader.refresh()
    except RepositoryError:
        return None
    found: dict[str, object] = {}
    for model, version in (OLD, NEW, ("other", "1.0.0")):
        files = reader.bundle(model, version)
        if files is not None:
            found[f"{model} {version}"] = (files, reader.info(model, version).withdrawn is None)
    return found


if __name__ == "__main__":
    given, into, which = sys.argv[1:]
    for made in killed_everywhere(Path(given), Path(into), CHANGES[which]):
        sys.stdout.write(f"{made}\n")
        sys.stdout.flush()
