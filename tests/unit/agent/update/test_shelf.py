"""Bundles made of files by their digest, and what nobody needs any more."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.update.errors import UpdateError
from agent.update.shelf import Shelf
from agent.update.shelf_disk import ShelfDisk
from contracts.manifest import MANIFEST_NAME
from tests.fakes.transport import FakeMirror, FakeTransport
from tests.unit.agent.update.shelves import Box, blob, manifest_of, manifest_of_entries, served

MODEL = b"model" * 20
GOLDEN = b"golden" * 9
REPORT = b"report"
FILES = {"artifacts/x/model.bin": MODEL, "golden/one.npy": GOLDEN, "report.html": REPORT, "again/one.npy": GOLDEN}
MANIFEST = manifest_of(FILES)
DIGEST = hashlib.sha256(MANIFEST).hexdigest()
ALL = [blob(data).sha256 for data in FILES.values()]


@pytest.fixture
def box(tmp_path: Path) -> Box:
    there = Box(ShelfDisk(tmp_path / "update"), FakeTransport(FakeMirror(served(MODEL, GOLDEN, REPORT, b"other"))))
    there.fetch(MODEL, GOLDEN, REPORT)
    return there


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".held"
    }


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_a_bundle_has_its_manifest_and_every_file_where_the_manifest_says(box: Box) -> None:
    folder = box.shelf.assemble(MANIFEST, ALL)
    assert folder == box.shelf.bundle(DIGEST)
    assert tree(folder) == {**FILES, MANIFEST_NAME: MANIFEST}
    assert box.shelf.check(DIGEST) == []


def test_its_files_take_no_space_of_their_own(box: Box) -> None:
    folder = box.shelf.assemble(MANIFEST, ALL)
    assert (folder / "golden/one.npy").samefile(box.shelf.path(blob(GOLDEN).sha256))
    assert (folder / "again/one.npy").samefile(folder / "golden/one.npy")
    assert box.shelf.used() == len(MODEL) + len(GOLDEN) + len(REPORT)


def test_it_holds_only_what_the_box_wants(box: Box) -> None:
    folder = box.shelf.assemble(MANIFEST, [blob(MODEL).sha256])
    assert tree(folder) == {"artifacts/x/model.bin": MODEL, MANIFEST_NAME: MANIFEST}
    assert box.shelf.check(DIGEST) == []


def test_more_can_be_put_into_it_later(box: Box) -> None:
    box.shelf.assemble(MANIFEST, [blob(MODEL).sha256])
    folder = box.shelf.assemble(MANIFEST, ALL)
    assert tree(folder) == {**FILES, MANIFEST_NAME: MANIFEST}
    assert box.shelf.check(DIGEST) == []


def test_a_file_that_is_not_on_the_shelf_is_no_bundle(box: Box) -> None:
    manifest = manifest_of({"a": b"never fetched"})
    with pytest.raises(UpdateError, match="is not on the shelf"):
        box.shelf.assemble(manifest, [blob(b"never fetched").sha256])
    assert names(box.shelf.bundle(DIGEST).parent) == []


def spoil(path: Path) -> None:
    data = path.read_bytes()
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.write(bytes([data[0] ^ 1]))


def test_a_spoiled_file_is_found_fetched_again_and_mended_in_place(box: Box) -> None:
    folder = box.shelf.assemble(MANIFEST, ALL)
    spoil(folder / "golden/one.npy")
    assert box.shelf.check(DIGEST) == ["golden/one.npy", "again/one.npy"]
    box.fetch(MODEL, GOLDEN, REPORT)
    assert box.shelf.check(DIGEST) == ["golden/one.npy", "again/one.npy"]
    box.shelf.assemble(MANIFEST, ALL)
    assert box.shelf.check(DIGEST) == []
    assert tree(folder) == {**FILES, MANIFEST_NAME: MANIFEST}


@pytest.mark.parametrize("path", [MANIFEST_NAME, "report.html", ".held"])
def test_a_missing_file_is_found_and_mended(box: Box, path: str) -> None:
    folder = box.shelf.assemble(MANIFEST, ALL)
    (folder / path).unlink()
    assert box.shelf.check(DIGEST) == [path]
    box.shelf.assemble(MANIFEST, ALL)
    assert box.shelf.check(DIGEST) == []


def test_a_link_or_a_folder_in_place_of_a_file_is_found(box: Box, tmp_path: Path) -> None:
    folder = box.shelf.assemble(MANIFEST, ALL)
    (folder / "report.html").unlink()
    (folder / "report.html").symlink_to(folder / "golden/one.npy")
    (folder / "again/one.npy").unlink()
    (folder / "again/one.npy").mkdir()
    assert box.shelf.check(DIGEST) == ["report.html", "again/one.npy"]


def test_a_changed_manifest_or_list_is_found(box: Box) -> None:
    folder = box.shelf.assemble(MANIFEST, ALL)
    (folder / ".held").write_text("nonsense\n")
    assert box.shelf.check(DIGEST) == [".held"]
    (folder / ".held").write_text("0" * 64 + "\n")
    assert box.shelf.check(DIGEST) == [".held"]
    (folder / MANIFEST_NAME).write_bytes(MANIFEST + b" ")
    assert box.shelf.check(DIGEST) == [MANIFEST_NAME]


def test_a_bundle_that_is_not_there_is_not_well(box: Box) -> None:
    assert box.shelf.check("0" * 64) == [MANIFEST_NAME]


def entry(path: str, data: bytes) -> dict[str, Any]:
    return {"path": path, "sha256": blob(data).sha256, "size": len(data)}


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([entry("a", MODEL), entry("a", GOLDEN)], "'a' should be one file, got two different ones"),
        ([entry("a", MODEL), entry("a/b", GOLDEN)], "'a' should be a file or a folder, not both"),
        ([entry("../a", MODEL)], "should stay inside the bundle"),
        ([entry("/etc/passwd", MODEL)], "should stay inside the bundle"),
        ([entry("a//b", MODEL)], "should stay inside the bundle"),
        ([entry(MANIFEST_NAME, MODEL)], "a name that it may not give away"),
        ([entry(".held", MODEL)], "a name that it may not give away"),
        ([entry("manifest.json/a", MODEL)], "a name that it may not give away"),
        ([entry("a\nb", MODEL)], "a path that a file can have"),
        ([entry("a\x00b", MODEL)], "a path that a file can have"),
        ([entry("a" * 256, MODEL)], "a path that a file can have"),
        ([entry("/".join("a" * 20), MODEL)], "a path that a file can have"),
        ([{"path": "a", "sha256": "../../etc/passwd", "size": 1}], "does not fit"),
    ],
)
def test_a_manifest_whose_paths_cannot_be_files_is_refused(box: Box, entries: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(UpdateError, match=said) as caught:
        box.shelf.assemble(manifest_of_entries(entries), ALL)
    assert caught.value.code == "bundle_invalid"
    assert names(box.shelf.bundle(DIGEST).parent) == []


@pytest.mark.parametrize("manifest", [b"", b"{}", b"null", b"\xff", b"[" * 100_000, b" " * (17 << 20)])
def test_what_is_no_manifest_is_refused(box: Box, manifest: bytes) -> None:
    with pytest.raises(UpdateError) as caught:
        box.shelf.assemble(manifest, ALL)
    assert caught.value.code == "bundle_invalid"


def test_paths_that_differ_in_case_only_are_two_files(box: Box) -> None:
    files = {"A": MODEL, "a": GOLDEN}
    assert tree(box.shelf.assemble(manifest_of(files), ALL)).items() >= files.items()


def second(box: Box, files: Mapping[str, bytes]) -> str:
    box.fetch(*files.values())
    return box.shelf.assemble(manifest_of(files), [blob(data).sha256 for data in files.values()]).name


def test_bundles_that_nobody_keeps_go_with_the_files_that_only_they_have(box: Box) -> None:
    box.shelf.assemble(MANIFEST, ALL)
    other = second(box, {"a": b"other", "b": GOLDEN})
    box.shelf.collect([other])
    assert names(box.shelf.bundle(other).parent) == [other]
    assert box.shelf.check(other) == []
    assert box.shelf.used() == len(b"other") + len(GOLDEN)


def test_nothing_of_a_kept_bundle_goes(box: Box) -> None:
    box.shelf.assemble(MANIFEST, ALL)
    other = second(box, {"a": b"other"})
    box.shelf.collect([DIGEST, other])
    assert box.shelf.check(DIGEST) == []
    assert box.shelf.check(other) == []


def test_what_an_attempt_has_fetched_stays_and_what_an_old_one_began_goes(box: Box) -> None:
    for data in (b"begun", b"old"):
        partial = box.shelf.partial(blob(data))
        partial.begin(lambda: None)
        partial.add(data[:2])
        partial.keep()
    box.shelf.collect([], wanted=[blob(MODEL).sha256, blob(b"begun").sha256])
    assert box.shelf.holds(blob(MODEL))
    assert not box.shelf.holds(blob(GOLDEN))
    assert box.shelf.reserved(blob(b"begun")) == 5
    assert box.shelf.reserved(blob(b"old")) == 0
    again = box.shelf.partial(blob(b"begun"))
    again.begin(lambda: None)
    assert again.done == 2


def test_what_strangers_left_in_the_folders_goes_without_following_its_links(box: Box, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/file").write_text("stays")
    folder = box.shelf.assemble(MANIFEST, ALL)
    (folder / "cache").mkdir()
    (folder / "cache/link").symlink_to(tmp_path / "precious")
    (folder.parent / "link").symlink_to(tmp_path / "precious")
    box.shelf.collect([])
    assert (tmp_path / "precious/file").read_text() == "stays"
    assert names(folder.parent) == []


def test_a_shelf_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    shelf = Shelf(ShelfDisk(tmp_path / "deep/update"))
    assert not shelf.holds(blob(MODEL))
    assert shelf.used() == 0
    shelf.collect([])
    assert shelf.free() > 0


def test_a_file_system_without_hard_links_is_named_as_the_reason(box: Box) -> None:
    class Fat(ShelfDisk):
        def link(self, name: str, second: str) -> None:
            raise PermissionError(errno.EPERM, "Operation not permitted")

    with pytest.raises(UpdateError, match="file system with hard links") as caught:
        Shelf(Fat(box.disk.top)).assemble(MANIFEST, ALL)
    assert caught.value.code == "storage"
