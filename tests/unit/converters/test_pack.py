"""A bundle appears whole or not at all, whatever happens while it is written."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from contracts.errors import DocumentError, StorageError
from converters import pack
from converters.pack import check_place, file_entry, new_bundle
from tests.fakes.bundles import make_bundle

ROOT = Path(__file__).parents[3]


def fill(folder: Path, mark: str) -> None:
    make_bundle(folder)
    (folder / "mark").write_text(mark)


def leftovers(out: Path) -> list[str]:
    return [path.name for path in out.parent.iterdir() if path != out]


def test_a_bundle_takes_its_place(tmp_path: Path) -> None:
    out = tmp_path / "new" / "a.bundle"
    with new_bundle(out) as folder:
        fill(folder, "one")
        assert not out.exists(), "nobody sees it before it is whole"
    assert (out / "mark").read_text() == "one"
    assert leftovers(out) == []
    assert out.stat().st_mode == out.parent.stat().st_mode, "others may read it as they may any folder made here"


@pytest.mark.parametrize("kernel_exchanges", [True, False])
def test_an_old_bundle_is_replaced(kernel_exchanges: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not kernel_exchanges:
        monkeypatch.setattr(pack, "_exchange", lambda _one, _other: False)
    out = tmp_path / "a.bundle"
    for mark in ("one", "two"):
        with new_bundle(out) as folder:
            fill(folder, mark)
    assert (out / "mark").read_text() == "two"
    assert leftovers(out) == []


def test_a_failed_build_leaves_the_old_bundle_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "a.bundle"
    with new_bundle(out) as folder:
        fill(folder, "one")
    with contextlib.suppress(ZeroDivisionError), new_bundle(out) as folder:
        fill(folder, "two")
        raise ZeroDivisionError
    assert (out / "mark").read_text() == "one"
    assert leftovers(out) == []


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_is_no_bundle_is_never_replaced(kind: str, tmp_path: Path) -> None:
    out = tmp_path / "precious"
    if kind == "folder":
        out.mkdir()
        (out / "thesis.txt").write_text("years of work")
    else:
        out.write_text("years of work")
    with pytest.raises(DocumentError, match=r"--out: expected a new path or an existing bundle, .*precious holds"):
        check_place(out)
    with pytest.raises(DocumentError), new_bundle(out):
        pytest.fail("the block must not be entered")
    assert out.exists()


def test_an_empty_folder_is_a_free_place(tmp_path: Path) -> None:
    out = tmp_path / "a.bundle"
    out.mkdir()
    with new_bundle(out) as folder:
        fill(folder, "one")
    assert (out / "mark").read_text() == "one"


@pytest.mark.parametrize(("code", "cure"), [(errno.ENOSPC, "free some space"), (errno.EROFS, "mount it writable")])
def test_a_disk_that_refuses_is_a_storage_error(
    code: int, cure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    out = tmp_path / "a.bundle"
    with pytest.raises(StorageError, match=cure), new_bundle(out) as folder:
        fill(folder, "one")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot write"), new_bundle(tmp_path / "file" / "a.bundle"):
        pytest.fail("the block must not be entered")


def test_what_a_killed_build_left_is_removed_but_not_what_another_build_holds(tmp_path: Path) -> None:
    out = tmp_path / "a.bundle"
    abandoned = tmp_path / ".a.bundle.building-abandoned"
    abandoned.mkdir()
    held = tmp_path / ".a.bundle.building-held"
    held.mkdir()
    long_ago = time.time() - 3600
    for folder in (abandoned, held):
        os.utime(folder, (long_ago, long_ago))
    with pack.locked(held), new_bundle(out) as folder:
        fill(folder, "one")
    assert not abandoned.exists()
    assert held.exists()


def test_a_file_entry_says_path_size_and_digest(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.bin").write_bytes(b"abc")
    entry = file_entry(tmp_path, tmp_path / "a" / "b.bin")
    assert (entry.path, entry.size) == ("a/b.bin", 3)
    assert entry.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


WRITER = """
import sys, time
from pathlib import Path
from converters.pack import new_bundle
from tests.fakes.bundles import make_bundle
out = Path(sys.argv[1])
while True:
    with new_bundle(out) as folder:
        make_bundle(folder)
        for number in range(40):
            (folder / f"{number}.bin").write_bytes(b"x" * 10_000)
        (folder / "complete").touch()
    print("placed", flush=True)
"""


@pytest.mark.parametrize("delay_s", [0.0, 0.003, 0.01, 0.02, 0.04, 0.08])
def test_killed_anywhere_there_is_a_whole_bundle_or_none(delay_s: float, tmp_path: Path) -> None:
    out = tmp_path / "a.bundle"
    command = [sys.executable, "-c", WRITER, str(out)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()  # the first is in place: from now on it is replaced again and again
        time.sleep(delay_s)
        writer.send_signal(signal.SIGKILL)
    assert (out / "complete").is_file()
    assert len(list(out.glob("*.bin"))) == 40
    check_place(out)
