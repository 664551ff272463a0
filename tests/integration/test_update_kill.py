"""The shelf on a real disk: ``kill -9`` at every operation, a full disk, one that cannot be written.

(`tests/unit/agent/update/test_power_cuts.py` cuts the power, where unflushed bytes go too.)
"""

from __future__ import annotations

import errno
import hashlib
import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.update.errors import UpdateError
from agent.update.fetch.folder import FolderTransport
from agent.update.shelf import Shelf
from agent.update.shelf_disk import ShelfDisk
from contracts.release import blob_path
from tests.integration.deadly_disks import DeadlyShelfDisk, Death
from tests.unit.agent.update.shelves import Box, blob, manifest_of, served

A = os.urandom(700_000)
B = os.urandom(300_000)
C = os.urandom(100_000)
OLD, NEW = {"a/one": A, "c": C}, {"b": B, "d/c": C}
OLD_MANIFEST, NEW_MANIFEST = manifest_of(OLD), manifest_of(NEW)
OLD_DIGEST, NEW_DIGEST = (hashlib.sha256(text).hexdigest() for text in (OLD_MANIFEST, NEW_MANIFEST))


@pytest.fixture(scope="module")
def stick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repository(tmp_path_factory.mktemp("stick"), A, B, C)


def repository(folder: Path, *files: bytes) -> Path:
    for path, data in served(*files).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


Step = Callable[[ShelfDisk, Path], object]


def fetch(*files: bytes) -> Step:
    return lambda disk, stick: Box(disk, FolderTransport(stick)).fetch(*files)


def begin(data: bytes, instead: bytes | None = None) -> Step:
    def run(disk: ShelfDisk, stick: Path) -> None:
        partial = Shelf(disk).partial(blob(data))
        partial.begin(lambda: None)
        partial.add((instead or data)[:250_000])
        partial.keep()
        partial.add(bytes(1000))

    return run


def assemble(manifest: bytes, files: dict[str, bytes]) -> Step:
    return lambda disk, _: Shelf(disk).assemble(manifest, [blob(data).sha256 for data in files.values()])


def collect(*keep: str) -> Step:
    return lambda disk, _: Shelf(disk).collect(keep)


def steps(*all_of_them: Step) -> Step:
    def run(disk: ShelfDisk, stick: Path) -> None:
        for step in all_of_them:
            step(disk, stick)

    return run


HAVE_OLD = steps(fetch(A, C), assemble(OLD_MANIFEST, OLD))
CHANGES: dict[str, tuple[Step, Step]] = {
    "a new file": (fetch(), fetch(A)),
    "a file that was begun": (begin(A), fetch(A)),
    "a file that was begun wrongly": (begin(A, bytes(250_000)), fetch(A)),
    "a bundle": (fetch(A, C), assemble(OLD_MANIFEST, OLD)),
    "collecting": (
        steps(HAVE_OLD, fetch(B, C), assemble(NEW_MANIFEST, NEW), begin(b"z" * 300_000)),
        collect(NEW_DIGEST),
    ),
    "a whole change": (HAVE_OLD, steps(fetch(B, C), assemble(NEW_MANIFEST, NEW), collect(NEW_DIGEST))),
}
"""What is there before, and the change."""


def must_be_right(disk: ShelfDisk) -> None:
    for name in disk.names("blobs"):
        assert hashlib.sha256((disk.path("blobs") / name).read_bytes()).hexdigest() == name
    for name in disk.names("bundles"):
        if not name.startswith("."):
            assert Shelf(disk).check(name) == []


def content(top: Path) -> dict[str, bytes]:
    return {str(path.relative_to(top)): path.read_bytes() for path in sorted(top.rglob("*")) if path.is_file()}


def in_a_child(work: Callable[[], object]) -> int:
    """The status that a child which does this ends with."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1]


@pytest.mark.parametrize("change", CHANGES)
def test_a_kill_at_any_operation_leaves_only_right_files_and_the_change_can_be_done_again(
    tmp_path: Path, stick: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.update.partial._EVERY_BYTES", 300_000)
    prepare, work = CHANGES[change]
    prepare(ShelfDisk(tmp_path / "before"), stick)
    (tmp_path / "before").mkdir(exist_ok=True)
    expected: dict[str, bytes] | None = None
    for operation in range(300):
        here = tmp_path / "here"
        subprocess.run(["cp", "-a", tmp_path / "before", here], check=True)  # hard links stay what they are
        status = in_a_child(lambda at=operation, here=here: work(DeadlyShelfDisk(here, Death(at)), stick))  # type: ignore[misc]
        must_be_right(ShelfDisk(here))
        if os.WIFSIGNALED(status):
            work(ShelfDisk(here), stick)
            must_be_right(ShelfDisk(here))
        found = content(here)
        expected = expected or found
        assert found == expected
        shutil.rmtree(here)
        if not os.WIFSIGNALED(status):
            assert operation > 5
            return
    pytest.fail("it never came through")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    where = tmp_path / "small"
    where.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", where], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("only root can mount a small disk")
    yield where
    subprocess.run(["umount", where], check=True)


def test_a_disk_that_is_full_is_noticed_before_a_byte_is_written(small_disk: Path, tmp_path: Path) -> None:
    large = os.urandom(3_000_000)
    stick = repository(tmp_path / "stick", large, A)
    box = Box(ShelfDisk(small_disk / "update"), FolderTransport(stick))
    with pytest.raises(UpdateError, match=r"3\.0 MB to fetch would leave 0\.0 MB of 2\.1 MB free") as caught:
        box.fetch(large)
    assert caught.value.code == "no_space"
    box.fetch(A)
    assert box.shelf.holds(blob(A))


def test_a_disk_that_others_fill_meanwhile_ends_the_attempt_and_leaves_it_gone_on_with(
    small_disk: Path, tmp_path: Path
) -> None:
    class Crowded(ShelfDisk):
        def free(self) -> int:
            return 10**9  # what there was when it was looked

    stick = repository(tmp_path / "stick", A, B)
    (small_disk / "others").write_bytes(bytes(1_200_000))
    box = Box(Crowded(small_disk / "update"), FolderTransport(stick))
    with pytest.raises(UpdateError, match="is full") as caught:
        box.fetch(A, B)
    assert caught.value.code == "no_space"
    (small_disk / "others").unlink()
    box.fetch(A, B)
    assert box.shelf.holds(blob(A))
    assert box.shelf.holds(blob(B))


def test_a_file_larger_than_the_system_allows_ends_the_attempt(tmp_path: Path, stick: Path) -> None:
    said = tmp_path / "said"

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            Box(ShelfDisk(tmp_path / "update"), FolderTransport(stick)).fetch(A)
        except UpdateError as error:
            said.write_text(f"{error.code} {error}")

    in_a_child(work)
    assert said.read_text().startswith("storage cannot change")
    Box(ShelfDisk(tmp_path / "update"), FolderTransport(stick)).fetch(A)


def test_a_disk_that_cannot_be_written_is_said_so(small_disk: Path, stick: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    box = Box(ShelfDisk(small_disk / "update"), FolderTransport(stick))
    with pytest.raises(UpdateError, match="mounted writable") as caught:
        box.fetch(A)
    assert caught.value.code == "storage"


def test_room_is_reserved_on_the_disk_before_the_first_byte(tmp_path: Path) -> None:
    disk = ShelfDisk(tmp_path / "update")
    Shelf(disk).partial(blob(A)).begin(lambda: None)
    found = (tmp_path / "update/partial" / blob(A).sha256).stat()
    assert found.st_size == len(A)
    assert found.st_blocks * 512 >= len(A)


def test_no_operation_follows_a_link(tmp_path: Path) -> None:
    disk = ShelfDisk(tmp_path)
    (tmp_path / "precious").write_text("stays")
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    for work in (
        lambda: disk.write("link", b"x"),
        lambda: disk.put("link", 0, b"x"),
        lambda: disk.reserve("link", 5),
        lambda: disk.cut("link", 0),
        lambda: disk.read("link", 0, 1),
    ):
        with pytest.raises(OSError) as caught:  # noqa: PT011 - its number says which
            work()
        assert caught.value.errno == errno.ELOOP
    assert (tmp_path / "precious").read_text() == "stays"
    assert blob_path(blob(A).sha256).startswith("blobs/")
