"""What heads of HTTP answers may say, and what they are refused for."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from agent.update.fetch import redirects
from agent.update.fetch.answers import OK, PARTIAL, Answer, AnswerError, etag_for, read_answer, tag_of
from agent.update.fetch.mirrors import Mirrors

BASE = "https://models.example/repo"


def test_a_whole_file() -> None:
    assert read_answer(OK, {"Content-Length": "100", "ETag": '"a"'}, 0) == Answer(0, 100, 100, '"a"')


def test_a_whole_file_although_the_rest_was_asked_for() -> None:
    assert read_answer(OK, {"Content-Length": "100"}, 50) == Answer(0, 100, 100, None)


def test_the_rest_of_a_file() -> None:
    headers = {"Content-Range": "bytes 50-99/100", "Content-Length": "50", "ETag": '"a"'}
    assert read_answer(PARTIAL, headers, 50) == Answer(50, 100, 50, '"a"')


def test_the_rest_of_a_file_whose_size_is_not_said() -> None:
    assert read_answer(PARTIAL, {"Content-Range": "bytes 50-99/*"}, 50) == Answer(50, None, 50, None)


def test_a_file_in_chunks_has_no_size() -> None:
    assert read_answer(OK, {"Transfer-Encoding": "chunked"}, 0) == Answer(0, None, None, None)


@pytest.mark.parametrize("tag", ['W/"a"', "a", '"a', '"\n"', '"é"', '"' + "a" * 500 + '"', ""])
def test_only_a_strong_tag_is_one(tag: str) -> None:
    assert read_answer(OK, {"ETag": tag}, 0).etag is None


@pytest.mark.parametrize(
    ("status", "headers", "start", "said"),
    [
        (OK, {"Content-Encoding": "gzip"}, 0, "Content-Encoding 'gzip'"),
        (OK, {"Content-Encoding": "identity, br"}, 0, "Content-Encoding"),
        (OK, {"Transfer-Encoding": "gzip, chunked"}, 0, "no Transfer-Encoding but chunked"),
        (OK, {"Content-Length": "-1"}, 0, "a number as Content-Length"),
        (OK, {"Content-Length": "5, 5"}, 0, "a number as Content-Length"),
        (OK, {"Content-Length": "1e3"}, 0, "a number as Content-Length"),
        (OK, {"Content-Length": "٣"}, 0, "a number as Content-Length"),
        (OK, {"Content-Length": "5", "Transfer-Encoding": "chunked"}, 0, "got both"),
        (PARTIAL, {"Content-Range": "bytes 0-9/100"}, 0, "expected the whole file"),
        (PARTIAL, {}, 50, "expected Content-Range"),
        (PARTIAL, {"Content-Range": "bytes */100"}, 50, "expected Content-Range"),
        (PARTIAL, {"Content-Range": "items 50-99/100"}, 50, "expected Content-Range"),
        (PARTIAL, {"Content-Range": "bytes 40-99/100"}, 50, "expected bytes from 50 on"),
        (PARTIAL, {"Content-Range": "bytes 51-99/100"}, 50, "expected bytes from 50 on"),
        (PARTIAL, {"Content-Range": "bytes 50-49/100"}, 50, "expected bytes from 50 on"),
        (PARTIAL, {"Content-Range": "bytes 50-100/100"}, 50, "expected bytes from 50 on"),
        (PARTIAL, {"Content-Range": "bytes 50-99/100", "Content-Length": "51"}, 50, "expected 50 bytes"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_was_expected(
    status: int, headers: dict[str, str], start: int, said: str
) -> None:
    with pytest.raises(AnswerError, match=said.replace("*", r"\*")):
        read_answer(status, headers, start)


HEADERS = st.dictionaries(
    st.sampled_from(["Content-Length", "Content-Range", "Content-Encoding", "Transfer-Encoding", "ETag"]),
    st.one_of(
        st.text(max_size=30),
        st.integers(-2, 200).map(str),
        st.builds("bytes {}-{}/{}".format, st.integers(0, 120), st.integers(0, 120), st.integers(0, 120)),
        st.sampled_from(["gzip", "chunked", "identity", "*", '"a"', 'W/"a"']),
    ),
)


@given(status=st.sampled_from([OK, PARTIAL]), headers=HEADERS, start=st.integers(0, 120))
def test_any_head_is_refused_or_fits_the_question(status: int, headers: dict[str, str], start: int) -> None:
    try:
        answer = read_answer(status, headers, start)
    except AnswerError:
        return
    assert answer.start in {0, start}
    assert answer.start == start or status == OK
    if answer.size is not None and answer.length is not None:
        assert answer.start + answer.length <= answer.size
    assert headers.get("Content-Encoding", "").strip().lower() in {"", "identity"}
    tag = tag_of(BASE, answer.etag)
    assert etag_for(BASE, tag) == answer.etag
    assert etag_for("https://other.example", tag) is None


@given(st.text(max_size=60))
def test_a_tag_that_nobody_gave_is_sent_to_nobody(tag: str) -> None:
    assert etag_for(BASE, tag) is None


@pytest.mark.parametrize(
    ("url", "location", "there"),
    [
        ("http://a.example/x/y", "/z", "http://a.example/z"),
        ("http://a.example/x/y", "z", "http://a.example/x/z"),
        ("http://a.example/x", "https://a.example/x", "https://a.example/x"),
        ("https://a.example/x", "https://cdn.example/x?key=1", "https://cdn.example/x?key=1"),
        ("https://a.example/x", "//cdn.example/x", "https://cdn.example/x"),
        ("http://127.0.0.1:8000/x", "http://127.0.0.1:8000/y", "http://127.0.0.1:8000/y"),
        ("https://a.example/x", "https://3com.example/x", "https://3com.example/x"),
        ("https://a.example/x", "https://192.168.1.5/x", "https://192.168.1.5/x"),
    ],
)
def test_a_redirect_within_the_server_or_to_https_is_followed(url: str, location: str, there: str) -> None:
    assert redirects.follow(url, location) == there


@pytest.mark.parametrize(
    "location",
    [
        None,
        "",
        "http://a.example/x",
        "http://other.example/x",
        "file:///etc/passwd",
        "ftp://a.example/x",
        "gopher://a.example/x",
        "https://localhost/x",
        "https://LOCALHOST./x",
        "https://a.localhost/x",
        "https://127.0.0.1/x",
        "https://127.1/x",
        "https://2130706433/x",
        "https://0x7f.1/x",
        "https://0.0.0.0/x",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://[fe80::1%25eth0]/x",
        "https://user:secret@cdn.example/x",
        "https://cdn.example:port/x",
        "https://cdn.example:99999/x",
        "https://[::1/x",
        "https://cdn.example/x\r\nX: y",
        "https://cdn.example/x y",
    ],
)
def test_a_redirect_out_of_the_encryption_or_the_network_or_with_a_password_is_refused(location: str | None) -> None:
    with pytest.raises(AnswerError) as caught:
        redirects.follow("https://a.example/x", location)
    assert "secret" not in str(caught.value)


@given(st.text(max_size=40), st.sampled_from(["https://", "http://", "//", "", "https://a.example@"]))
def test_any_redirect_is_refused_or_leads_to_https(text: str, begin: str) -> None:
    try:
        there = redirects.follow("https://a.example/x", begin + text)
    except AnswerError:
        return
    assert there.startswith("https://")
    assert redirects.origin(there)[0] == "https"


class _Clock:
    now = 0.0


def test_mirrors_that_fail_rest_longer_each_time_and_are_asked_last() -> None:
    clock = _Clock()
    mirrors = Mirrors(["http://a/", "http://b", "http://b"], lambda: clock.now, lambda: 1.0)
    assert mirrors.order() == ["http://a", "http://b"]
    mirrors.failed("http://a")
    assert mirrors.order() == ["http://b", "http://a"]
    clock.now = 5
    assert mirrors.order() == ["http://a", "http://b"]
    mirrors.failed("http://a")
    clock.now = 14.9
    assert mirrors.order() == ["http://b", "http://a"]
    mirrors.failed("http://b")
    assert mirrors.order() == ["http://a", "http://b"], "both rest: the one that has rested first"
    mirrors.did_well("http://b")
    assert mirrors.order() == ["http://b", "http://a"]


def test_one_mirror_is_always_asked() -> None:
    mirrors = Mirrors(["http://a"], lambda: 0.0)
    mirrors.failed("http://a")
    assert mirrors.order() == ["http://a"]
