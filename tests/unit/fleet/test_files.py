"""Files that are whole or not there, wherever they are."""

from __future__ import annotations

import errno
import os
from importlib.util import find_spec
from pathlib import Path

import fsspec
import pytest

from contracts.errors import RuntimeMissingError, StorageError, UnknownNameError
from fleet.publishing.errors import RepositoryError
from fleet.publishing.files import DiskWriter, Files, RenamingWriter, open_files


class WithoutLinks(DiskWriter):
    """A memory stick: FAT knows no hard links."""

    def _link(self, new: Path, place: Path) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))


@pytest.fixture(params=["disk", "memory", "stick", "renaming"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    disk, memory = fsspec.filesystem("file"), fsspec.filesystem("memory")
    top = f"/{tmp_path.name}-{request.param}"
    return {
        "disk": lambda: open_files(str(tmp_path / "r")),
        "memory": lambda: open_files(f"memory:/{top}"),
        "stick": lambda: Files(disk, str(tmp_path / "r"), "r", WithoutLinks()),
        "renaming": lambda: Files(memory, top, "r", RenamingWriter(memory)),
    }[request.param]()


def test_what_is_written_is_read_and_listed(files: Files, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"from a file")
    files.replace("metadata/a.json", b"one")
    files.replace("metadata/a.json", b"two!")
    files.replace("blobs/ab/abc", tmp_path / "source")
    assert files.read("metadata/a.json") == b"two!"
    assert b"".join(files.chunks("blobs/ab/abc")) == b"from a file"
    assert files.sizes("metadata") == {"metadata/a.json": 4}
    assert files.sizes("blobs") == {"blobs/ab/abc": 11}
    assert files.leftovers() == []


def test_what_is_not_there_is_none(files: Files) -> None:
    assert files.read("metadata/none.json") is None
    assert files.sizes("metadata") == {}
    files.remove("metadata/none.json")


def test_who_creates_second_changes_nothing(files: Files) -> None:
    assert files.create("metadata/a.json", b"first")
    assert not files.create("metadata/a.json", b"second")
    assert files.read("metadata/a.json") == b"first"


def test_what_is_removed_is_gone(files: Files) -> None:
    files.replace("metadata/a.json", b"one")
    files.remove("metadata/a.json")
    assert files.read("metadata/a.json") is None


def test_a_half_written_file_is_not_listed_but_found_for_cleaning_up(tmp_path: Path) -> None:
    files = open_files(str(tmp_path))
    files.replace("blobs/ab/abc", b"whole")
    (tmp_path / "blobs/ab/.new-1-abd").write_bytes(b"hal")
    assert files.sizes("blobs") == {"blobs/ab/abc": 5}
    assert files.leftovers() == ["blobs/ab/.new-1-abd"]


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "metadata").write_text("a file where a folder should be")
    with pytest.raises(StorageError, match=str(tmp_path)):
        open_files(str(tmp_path)).replace("metadata/a.json", b"")


def test_an_unknown_kind_of_address_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 's3'"):
        open_files("s33://bucket/models")


def test_an_address_that_can_only_be_read_is_refused() -> None:
    with pytest.raises(RepositoryError, match="folder or bucket that is served") as caught:
        open_files("https://user:secret@models.example/")
    assert "secret" not in str(caught.value)


@pytest.mark.skipif(find_spec("s3fs") is not None, reason="s3fs is here")
def test_a_store_whose_package_is_missing_says_how_to_get_it() -> None:
    with pytest.raises(RuntimeMissingError, match="fleet-s3"):
        open_files("s3://bucket/models")
