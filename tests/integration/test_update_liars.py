"""Fetching from web servers that lie: nothing wrong gets onto the shelf, and nothing hangs or grows without end."""

from __future__ import annotations

import gzip
import hashlib
import logging
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from agent.update.errors import UpdateError, UpdateWaitsError, WrongAnswerError
from agent.update.fetch.http import HttpTransport
from agent.update.fetch.web import Limits
from agent.update.ports import Download
from agent.update.shelf_disk import ShelfDisk
from contracts.errors import NotThereError, ServerError
from contracts.release import Blob
from contracts.update_config import UpdateConfig
from tests.integration.liars import Connection, Play, liar
from tests.unit.agent.update.shelves import Box, blob, download, never, silent

DATA = bytes(range(256)) * 2000
ZEROS = bytes(len(DATA))
SHORT = Limits(connect=5, silence=0.5, slow_seconds=1.0, slow_bytes=1000)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


def transport(*servers: str, limits: Limits | None = None) -> HttpTransport:
    return HttpTransport(UpdateConfig(server=servers), limits or Limits(connect=5, silence=10))


def box(folder: Path, *servers: str, limits: Limits | None = None) -> Box:
    return Box(ShelfDisk(folder / "update"), transport(*servers, limits=limits))


def honest(connection: Connection) -> None:
    connection.whole(DATA, 'ETag: "1"')


def read(transport: HttpTransport, start: int = 0, tag: str | None = None) -> bytes:
    reply = transport.open("blobs/x", start, tag)
    try:
        return b"".join(reply.chunks)
    finally:
        reply.close()


def test_an_honest_one_gives_the_file_and_is_asked_for_the_bytes_as_they_are(tmp_path: Path) -> None:
    with liar(honest) as server:
        there = box(tmp_path, server.url)
        there.fetch(DATA)
        assert there.shelf.holds(blob(DATA))
    assert server.asked[0].header("Accept-Encoding") == "identity"
    assert server.asked[0].header("Range") is None
    assert (server.asked[0].header("User-Agent") or "").startswith("edgetally/")


def breaks_off(at: int, *headers: str) -> Play:
    def play(connection: Connection) -> None:
        start = connection.start
        length = f"Content-Length: {len(DATA) - start}"
        status = "206 Partial Content" if start else "200 OK"
        where = [f"Content-Range: bytes {start}-{len(DATA) - 1}/{len(DATA)}"] if start else []
        connection.answer(status, length, *where, *headers, body=DATA[start : start + at])

    return play


def test_a_connection_that_breaks_off_is_gone_on_with_by_range_and_tag(tmp_path: Path) -> None:
    with liar(breaks_off(100_000, 'ETag: "1"'), breaks_off(50_000, 'ETag: "1"'), honest) as server:
        there = box(tmp_path, server.url)
        there.fetch(DATA)
        assert there.shelf.holds(blob(DATA))
    assert [(one.header("Range"), one.header("If-Range")) for one in server.asked] == [
        (None, None),
        ("bytes=100000-", '"1"'),
        ("bytes=150000-", '"1"'),
    ]


def test_a_weak_tag_is_not_used_to_go_on_with(tmp_path: Path) -> None:
    with liar(breaks_off(100_000, 'ETag: W/"1"'), honest) as server:
        box(tmp_path, server.url).fetch(DATA)
    assert [(one.header("Range"), one.header("If-Range")) for one in server.asked] == [
        (None, None),
        ("bytes=100000-", None),
    ]


def test_a_tag_is_not_sent_to_another_mirror_which_gives_the_rest_all_the_same(tmp_path: Path) -> None:
    with liar(breaks_off(100_000, 'ETag: "1"'), lambda connection: None) as first, liar(honest) as second:
        there = box(tmp_path, first.url, second.url)
        there.fetch(DATA)
        assert there.shelf.holds(blob(DATA))
    assert [(one.header("Range"), one.header("If-Range")) for one in second.asked] == [("bytes=100000-", None)]


def test_a_server_that_ignores_if_range_does_not_mix_two_contents() -> None:
    other = DATA[::-1]
    with liar(honest, lambda connection: connection.whole(other, 'ETag: "2"')) as server:
        asking = transport(server.url)
        tag = asking.open("blobs/x").tag
        reply = asking.open("blobs/x", 1000, tag)
        assert reply.start == 0
        assert b"".join(reply.chunks) == other
        reply.close()
    assert [one.header("Range") for one in server.asked] == [None, "bytes=1000-", None]


def test_what_is_shorter_than_what_was_begun_comes_whole() -> None:
    def play(connection: Connection) -> None:
        if connection.start:
            connection.answer("416 Range Not Satisfiable", "Content-Range: bytes */5", "Content-Length: 0")
        else:
            connection.whole(b"short")

    with liar(play) as server:
        assert read(transport(server.url), 1000) == b"short"


def answers(status: str, *headers: str, body: bytes = b"") -> Play:
    return lambda connection: connection.answer(status, *headers, body=body)


BOMB = gzip.compress(bytes(50_000_000))
WRONG: dict[str, tuple[Play, str]] = {
    "a gzip bomb": (
        answers("200 OK", "Content-Encoding: gzip", f"Content-Length: {len(BOMB)}", body=BOMB),
        "Content-Encoding 'gzip'",
    ),
    "a log-in page": (
        answers("200 OK", "Content-Type: text/html", "Content-Length: 13", body=b"<html></html>"),
        "expected a file of 512000 bytes, got one of 13",
    ),
    "a size too large": (
        answers("200 OK", f"Content-Length: {len(DATA) + 1}", body=DATA + b"x"),
        "expected a file of 512000 bytes, got one of 512001",
    ),
    "a part that nobody asked for": (
        answers("206 Partial Content", f"Content-Range: bytes 0-9/{len(DATA)}", "Content-Length: 10", body=DATA[:10]),
        "expected the whole file, got a part",
    ),
    "no number as length": (answers("200 OK", "Content-Length: many", body=DATA), "a number as Content-Length"),
    "a length below zero": (answers("200 OK", "Content-Length: -5", body=DATA), "Content-Length"),
    "two lengths": (answers("200 OK", "Content-Length: 5", "Content-Length: 6", body=DATA), "Content-Length"),
    "forbidden": (answers("403 Forbidden", "Content-Length: 0"), "may not have it"),
    "an error": (answers("500 Internal Server Error", "Content-Length: 0"), "got HTTP 500"),
    "nothing at all but OK": (answers("204 No Content"), "got HTTP 204"),
    "redirects without end": (answers("302 Found", "Location: /blobs/y", "Content-Length: 0"), "redirects in a row"),
    "a redirect into files": (answers("302 Found", "Location: file:///etc/passwd"), "a redirect to https"),
    "a redirect to another http server": (answers("302 Found", "Location: http://127.0.0.1:9/"), "a redirect to https"),
    "a redirect into the box": (answers("302 Found", "Location: https://127.0.0.1:9/"), "a server of the network"),
}


@pytest.mark.parametrize("lie", WRONG)
def test_a_wrong_answer_is_refused_with_what_came_and_tried_again_later(tmp_path: Path, lie: str) -> None:
    play, said = WRONG[lie]
    with liar(play) as server:
        there = box(tmp_path, server.url)
        with pytest.raises(UpdateWaitsError, match=said) as caught:
            there.fetch(DATA)
        assert not there.shelf.holds(blob(DATA))
    assert caught.value.code in {"server_wrong", "server_unreachable"}
    assert len(server.asked) <= 6 * 4


@pytest.mark.parametrize("lie", WRONG)
def test_the_next_mirror_is_asked_where_one_is_wrong(tmp_path: Path, lie: str) -> None:
    with liar(WRONG[lie][0]) as first, liar(honest) as second:
        there = box(tmp_path, first.url, second.url)
        there.fetch(DATA)
        assert there.shelf.holds(blob(DATA))


UNANSWERED: dict[str, Play] = {
    "hangs up": lambda connection: None,
    "does not speak HTTP": lambda connection: connection.send(b"220 mail.example ESMTP\r\n"),
    "endless head": lambda connection: connection.send(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000),
    "endless line": lambda connection: connection.send(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_000_000),
    "status beyond": lambda connection: connection.send(b"HTTP/1.1 99999 OK\r\n\r\n"),
    "zeros": lambda connection: connection.send(bytes(100_000)),
}


@pytest.mark.parametrize("lie", UNANSWERED)
def test_what_is_no_answer_is_no_answer(lie: str) -> None:
    with liar(UNANSWERED[lie]) as server, pytest.raises(ServerError, match="no answer"):
        read(transport(server.url))


def test_an_endless_body_is_cut_where_the_file_should_end(tmp_path: Path) -> None:
    def endless(connection: Connection) -> None:
        connection.answer("200 OK", "Transfer-Encoding: chunked")
        for _ in range(10_000):
            connection.send(b"10000\r\n" + bytes(65536) + b"\r\n")

    with liar(endless) as server:
        there = box(tmp_path, server.url)
        with pytest.raises(UpdateWaitsError, match="expected 512000 bytes, got more"):
            there.fetch(DATA)
    assert sum(path.stat().st_size for path in there.disk.path("partial").iterdir()) <= len(DATA)


def test_a_body_in_chunks_that_ends_too_early_is_gone_on_with(tmp_path: Path) -> None:
    def half(connection: Connection) -> None:
        connection.answer("200 OK", "Transfer-Encoding: chunked", body=b"3E8\r\n" + DATA[:1000] + b"\r\n0\r\n\r\n")

    with liar(half, honest) as server:
        there = box(tmp_path, server.url)
        there.fetch(DATA)
        assert there.shelf.holds(blob(DATA))
    assert server.asked[1].start == 1000


def test_a_file_in_chunks_is_as_good_as_one_with_its_length(tmp_path: Path) -> None:
    def chunked(connection: Connection) -> None:
        chunks = [DATA[at : at + 9999] for at in range(0, len(DATA), 9999)]
        body = b"".join(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n" for chunk in chunks)
        connection.answer("200 OK", "Transfer-Encoding: chunked", body=body + b"0\r\n\r\n")

    with liar(chunked) as server:
        there = box(tmp_path, server.url)
        there.fetch(DATA)
        assert there.shelf.holds(blob(DATA))


@pytest.mark.parametrize(
    "content_range", ["bytes 0-99/512000", "bytes 100001-511999/512000", "bytes 100000-511999/9", "", "bytes */512000"]
)
def test_a_wrong_range_is_refused_and_what_was_begun_stays(tmp_path: Path, content_range: str) -> None:
    lie = answers("206 Partial Content", *([f"Content-Range: {content_range}"] if content_range else []), body=DATA)
    with liar(breaks_off(100_000), *[lie] * 6, honest) as server:
        there = box(tmp_path, server.url)
        with pytest.raises(UpdateWaitsError, match="Content-Range"):
            there.fetch(DATA)
        there.fetch(DATA)
        assert there.shelf.holds(blob(DATA))
    assert server.asked[-1].start == 100_000


def test_a_server_that_stalls_is_noticed_and_the_next_one_goes_on(tmp_path: Path) -> None:
    def stalls(connection: Connection) -> None:
        breaks_off(100_000)(connection)
        connection.wait_for_end()

    with liar(stalls) as first, liar(honest) as second:
        there = box(tmp_path, first.url, second.url, limits=SHORT)
        there.fetch(DATA)
        assert there.shelf.holds(blob(DATA))
    assert [one.start for one in second.asked] == [100_000]


def test_a_server_that_stalls_before_its_head_is_noticed() -> None:
    with liar(Connection.wait_for_end) as server, pytest.raises(ServerError, match="no answer"):
        read(transport(server.url, limits=SHORT))


def test_a_server_that_gives_a_byte_now_and_then_is_noticed(tmp_path: Path) -> None:
    gone = threading.Event()

    def drips(connection: Connection) -> None:
        connection.answer("200 OK", f"Content-Length: {len(DATA)}")
        for byte in range(1000):
            connection.send(DATA[byte : byte + 1])
            if gone.wait(0.1):
                return

    try:
        with liar(drips) as first, liar(honest) as second:
            there = box(tmp_path, first.url, second.url, limits=SHORT)
            there.fetch(DATA)
            gone.set()
            assert there.shelf.holds(blob(DATA))
    finally:
        gone.set()
    assert 0 < second.asked[0].start < 500


def test_a_head_that_comes_byte_by_byte_is_noticed() -> None:
    gone = threading.Event()

    def drips(connection: Connection) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\n")
        while not gone.wait(0.1):
            connection.send(b"X")

    try:
        with liar(drips) as first, liar(honest) as second:
            limits = Limits(connect=5, silence=10, head=0.5)
            assert read(transport(first.url, second.url, limits=limits)) == DATA
            gone.set()
    finally:
        gone.set()
    assert len(first.asked) == 1


def test_nobody_at_an_address_is_a_server_that_does_not_answer(tmp_path: Path) -> None:
    with liar(honest) as server:
        url = server.url
    there = box(tmp_path, url)
    with pytest.raises(UpdateWaitsError, match="no answer") as caught:
        there.fetch(DATA)
    assert caught.value.code == "server_unreachable"


def test_a_file_that_is_on_no_mirror_is_said_to_be_missing() -> None:
    missing = answers("404 Not Found", "Content-Length: 0")
    with liar(missing) as first, liar(answers("500 Oops", "Content-Length: 0")) as second:
        with pytest.raises(NotThereError, match=r"HTTP 404.*HTTP 500"):
            read(transport(first.url, second.url))
        with pytest.raises(NotThereError):
            read(transport(first.url))
        with pytest.raises(WrongAnswerError):
            read(transport(second.url))


def test_no_server_is_said_so() -> None:
    with pytest.raises(ServerError, match=r"set `server` in \[update\]"):
        read(transport())


def test_a_wrong_file_of_the_right_size_ends_the_attempt_after_the_second(tmp_path: Path) -> None:
    wrong, empty = (lambda connection: connection.whole(DATA[::-1])), (lambda connection: connection.whole(ZEROS))
    with liar(wrong) as first, liar(empty) as second:
        there = box(tmp_path, first.url, second.url)
        with pytest.raises(UpdateError) as caught:
            there.fetch(DATA)
    assert caught.value.code == "digest_mismatch"
    assert (len(first.asked), len(second.asked)) == (1, 1)
    assert not there.shelf.holds(blob(DATA))


def test_a_wrong_file_from_one_mirror_is_taken_from_the_next(tmp_path: Path) -> None:
    with liar(lambda connection: connection.whole(DATA[::-1])) as first, liar(honest) as second:
        there = box(tmp_path, first.url, second.url)
        there.fetch(DATA)
        assert there.shelf.holds(blob(DATA))
    assert second.asked[0].header("Range") is None


def test_a_redirect_within_the_server_is_followed(tmp_path: Path) -> None:
    with liar(answers("302 Found", "Location: /other/place", "Content-Length: 0"), honest) as server:
        there = box(tmp_path, server.url)
        there.fetch(DATA)
        assert there.shelf.holds(blob(DATA))
    assert server.asked[1].head.startswith("GET /other/place HTTP/1.1")


def test_what_a_redirect_says_in_secret_is_in_no_error(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    lie = answers("302 Found", "Location: http://127.0.0.1:9/x?X-Signature=hunter2", "Content-Length: 0")
    with caplog.at_level(logging.DEBUG), liar(lie) as server, pytest.raises(UpdateWaitsError) as caught:
        box(tmp_path, server.url).fetch(DATA)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in "".join(record.getMessage() for record in caplog.records if "edgetally" in record.name)


def test_a_proxy_of_the_environment_is_asked_with_its_password_which_is_in_no_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refuses = answers("407 Proxy Authentication Required", "Content-Length: 0")
    with liar(honest, refuses) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("http://", "http://user:hunter2@"))
        there = box(tmp_path, "http://models.example/repo")
        there.fetch(DATA)
        assert there.shelf.holds(blob(DATA))
        with pytest.raises(UpdateWaitsError, match="HTTP 407") as caught:
            there.fetch(b"other")
    assert proxy.asked[0].head.startswith(f"GET http://models.example/repo/{download(DATA).path} HTTP/1.1")
    assert proxy.asked[0].header("Proxy-Authorization") == "Basic dXNlcjpodW50ZXIy"
    assert "hunter2" not in str(caught.value)


def test_a_server_that_needs_no_proxy_is_asked_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    with liar(honest) as server:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert read(transport(server.url)) == DATA


@pytest.mark.parametrize("proxy", ["http://user:hunter2@[::1", "ftp://user:hunter2@127.0.0.1:9", "socks5://hunter2@a"])
def test_a_proxy_that_cannot_be_used_is_said_so_without_its_password(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(ServerError) as caught:
        read(transport("http://models.example"))
    assert "hunter2" not in str(caught.value)


def test_a_large_file_passes_through_little_memory(tmp_path: Path) -> None:
    piece = bytes(1 << 20)
    count = 64

    def large(connection: Connection) -> None:
        connection.answer("200 OK", f"Content-Length: {count << 20}")
        for _ in range(count):
            connection.send(piece)

    digest = hashlib.sha256()
    for _ in range(count):
        digest.update(piece)
    wanted = Download("blobs/large", Blob(sha256=digest.hexdigest(), size=count << 20))
    with liar(large) as server:
        there = box(tmp_path, server.url)
        read(transport(server.url))  # imports, and buffers that stay
        tracemalloc.start()
        try:
            there.fetcher.fetch([wanted], silent, never)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert there.shelf.holds(wanted.blob)
    assert peak < 4 << 20


LINES = st.sampled_from(
    [
        "Content-Length: 512000",
        "Content-Length: 5",
        "Content-Length: 0",
        "content-length: 99999999999999999999",
        "Content-Range: bytes 0-511999/512000",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: gzip",
        "Content-Encoding: deflate",
        "Content-Encoding: ",
        'ETag: "a"',
        "Location: /x",
        "Connection: close",
        ": empty",
        "no colon",
        " folded",
        "X: \x00",
        "Set-Cookie: a=b",
    ]
)
HEADS = st.tuples(
    st.sampled_from(["200 OK", "206 Partial", "301 x", "304 x", "404 x", "416 x", "100 Continue", "700 x", "abc", ""]),
    st.lists(st.one_of(LINES, st.text(st.characters(max_codepoint=255), max_size=40)), max_size=6),
    st.sampled_from([b"", b"5\r\nhello\r\n0\r\n\r\n", DATA, DATA[:100], DATA + b"x", b"\xff" * 100]),
)


@pytest.fixture
def playing() -> Iterator[Callable[[Play], str]]:
    """A server whose play is set anew for each example."""
    now: list[Play] = [lambda connection: None]

    def whatever_it_is_now(connection: Connection) -> None:
        now[0](connection)

    with liar(whatever_it_is_now) as server:

        def play(one: Play) -> str:
            now[0] = one
            return server.url

        yield play


@given(head=HEADS, start=st.sampled_from([0, 100]))
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_head_and_body_gives_bytes_that_were_sent_or_an_error_of_ours(
    playing: Callable[[Play], str], head: tuple[str, list[str], bytes], start: int
) -> None:
    status, headers, body = head
    url = playing(lambda connection: connection.answer(status, *headers, body=body))
    try:
        reply = transport(url, limits=SHORT).open("blobs/x", start)
    except ServerError:
        return
    came = 0
    try:
        for chunk in reply.chunks:
            came += len(chunk)
    except ServerError:
        pass
    finally:
        reply.close()
    assert came <= len(body) + sum(map(len, headers)) + 1000
    assert reply.start in {0, start}
