"""A repository on a memory stick that somebody else filled."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from agent.update.errors import WrongAnswerError
from agent.update.fetch.folder import FolderTransport
from contracts.errors import NotThereError, ServerError
from tests.fakes.shelf_disk import FakeShelfDisk
from tests.unit.agent.update.shelves import Box, blob, served

DATA = bytes(range(256)) * 4000


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    top = tmp_path / "stick"
    (top / "blobs").mkdir(parents=True)
    (top / "blobs/a").write_bytes(DATA)
    (tmp_path / "secret").write_text("not on the stick")
    return top


def read(top: Path, path: str, start: int = 0, tag: str | None = None) -> bytes:
    reply = FolderTransport(top).open(path, start, tag)
    data = b"".join(reply.chunks)
    reply.close()
    reply.close()
    return data


def test_a_file_comes_whole_or_from_an_offset(stick: Path) -> None:
    reply = FolderTransport(stick).open("blobs/a", 1000)
    assert (reply.start, reply.size) == (1000, len(DATA))
    assert b"".join(reply.chunks) == DATA[1000:]
    reply.close()
    assert read(stick, "blobs/a") == DATA
    assert read(stick, "blobs/a", len(DATA)) == b""


def test_another_file_in_its_place_comes_whole(stick: Path) -> None:
    first = FolderTransport(stick).open("blobs/a")
    first.close()
    assert read(stick, "blobs/a", 10, first.tag) == DATA[10:]
    (stick / "blobs/b").write_bytes(DATA[::-1])
    (stick / "blobs/b").replace(stick / "blobs/a")
    assert read(stick, "blobs/a", 10, first.tag) == DATA[::-1]


def test_a_file_that_became_shorter_comes_whole(stick: Path) -> None:
    (stick / "blobs/a").write_bytes(b"short")
    assert read(stick, "blobs/a", 10) == b"short"


def test_what_is_not_there_is_said_so(stick: Path) -> None:
    with pytest.raises(NotThereError, match="there is no blobs/b"):
        read(stick, "blobs/b")
    with pytest.raises(NotThereError):
        read(stick, "none/b")


def test_a_stick_that_is_not_plugged_in_is_no_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="cannot be opened") as caught:
        read(tmp_path / "none", "blobs/a")
    assert not isinstance(caught.value, NotThereError)


@pytest.mark.parametrize(
    "path",
    [
        "../secret",
        "blobs/../../secret",
        "/etc/passwd",
        "",
        "blobs/",
        "blobs//a",
        "./blobs/a",
        "blobs\\a",
        "a\0b",
        "a\nb",
    ],
)
def test_no_path_leads_out(stick: Path, path: str) -> None:
    with pytest.raises(WrongAnswerError, match="expected a path inside"):
        read(stick, path)


def test_no_link_is_followed(stick: Path) -> None:
    (stick / "blobs/link").symlink_to("../../secret")
    (stick / "blobs/inside").symlink_to("a")
    (stick / "folder").symlink_to(stick.parent)
    for path in ("blobs/link", "blobs/inside", "folder/secret"):
        with pytest.raises(WrongAnswerError, match="got a link"):
            read(stick, path)


def test_only_files_are_opened_and_nothing_is_waited_for(stick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(stick / "blobs/fifo")
    monkeypatch.chdir(stick)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
    for path in ("blobs/fifo", "socket", "blobs", "blobs/a/b"):
        with pytest.raises(WrongAnswerError, match="expected a file"):
            read(stick, path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_no_device_is_opened(stick: Path) -> None:
    try:
        os.mknod(stick / "blobs/zero", stat.S_IFCHR | 0o600, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("no devices can be made here")
    with pytest.raises(WrongAnswerError, match="expected a file"):
        read(stick, "blobs/zero")


def test_the_top_may_be_a_link_itself(stick: Path, tmp_path: Path) -> None:
    (tmp_path / "mounted").symlink_to(stick)
    assert read(tmp_path / "mounted", "blobs/a") == DATA


def test_a_file_that_is_cut_while_it_is_read_ends_with_an_error(stick: Path) -> None:
    reply = FolderTransport(stick).open("blobs/a")
    next(reply.chunks)
    os.truncate(stick / "blobs/a", 10)
    with pytest.raises(ServerError, match=f"expected {len(DATA)} bytes"):
        list(reply.chunks)
    reply.close()


def test_what_was_let_go_gives_nothing_more(stick: Path) -> None:
    reply = FolderTransport(stick).open("blobs/a")
    reply.close()
    with pytest.raises(ServerError):
        next(reply.chunks)


def test_a_stick_fills_a_shelf(stick: Path) -> None:
    for path, data in served(DATA, b"b").items():
        (stick / path).parent.mkdir(parents=True, exist_ok=True)
        (stick / path).write_bytes(data)
    box = Box(FakeShelfDisk(), FolderTransport(stick))
    box.fetch(DATA, b"b")
    assert box.shelf.holds(blob(DATA))


@given(st.text(max_size=30))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_path_stays_inside(stick: Path, path: str) -> None:
    try:
        assert read(stick, path) == DATA
    except ServerError:
        return
    assert path == "blobs/a"
