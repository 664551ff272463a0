"""Servers that are none, lie or stall: a box says what it expected in one sentence, and is as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from agent.provisioning import web
from agent.provisioning.errors import RefusedError
from agent.provisioning.web import HttpsServer
from contracts.enrolment import LARGEST_ANSWER, EnrolRequest
from contracts.errors import EdgetallyError, ServerError
from tests.integration.liars import Connection, Play, liar

REQUEST = EnrolRequest(token=SecretStr("enrol-k7dq2m5x-" + "a2b3" * 8), csr="csr")


def answers(status: str, document: Any, *headers: str) -> Play:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()

    def play(question: Connection) -> None:
        question.answer(status, f"Content-Length: {len(body)}", *headers, body=body)
        question.wait_for_end()  # to hang up on what was sent and not read would break the connection off

    return play


def asked(play: Play, ask: Callable[[HttpsServer], object] = lambda server: server.enrol(REQUEST)) -> EdgetallyError:
    with liar(play) as server, pytest.raises(EdgetallyError) as error:
        ask(HttpsServer(server.url, None))
    assert "a2b3" not in str(error.value)
    assert "\n" not in str(error.value)
    return error.value


@pytest.mark.parametrize(
    ("play", "said"),
    [
        (answers("200 OK", b"<html>"), "an answer that does not fit"),
        (answers("200 OK", {"device": "Gate 1"}), "an answer that does not fit"),
        (answers("200 OK", b"[" * 100_000), "an answer that does not fit"),
        (answers("200 OK", b"\xff" * 100), "an answer that does not fit"),
        (answers("404 Not Found", b"nginx"), "status 404, not an answer of edgetally-fleet"),
        (answers("302 Found", b"", "Location: https://evil.example/"), "status 302"),
        (
            answers("404 Not Found", {"error": "no_enrolment", "message": "start it"}),
            "it says: start it; try again later",
        ),
        (answers("429 Too Many", {"error": "x", "message": "wait 3 s"}), "it says: wait 3 s; try again later"),
        (answers("503 No", {"error": "database", "message": "\x1b[2Jlater"}), "it says: [2Jlater"),
        (answers("200 OK", b"x" * (LARGEST_ANSWER + 1)), f"more than {LARGEST_ANSWER} bytes"),
        (lambda question: question.send(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf"), "no answer"),
        (lambda question: question.send(b"SSH-2.0-OpenSSH_9.2\r\n"), "no answer"),
        (lambda question: question.send(b""), "no answer"),
    ],
)
def test_an_answer_that_is_none_is_said(play: Play, said: str) -> None:
    error = asked(play)
    assert isinstance(error, ServerError)
    assert said in str(error)


def test_a_refusal_has_the_servers_word_and_sentence_without_what_a_terminal_obeys() -> None:
    error = asked(answers("403 Forbidden", {"error": "token_expired", "message": "gone\x1b[2J\nask" + "x" * 999}))
    assert isinstance(error, RefusedError)
    assert error.code == "token_expired"
    assert "gone[2Jask" in str(error)
    assert len(str(error)) < 400
    strange = asked(answers("409 Conflict", {"error": "no word; rm -rf", "message": "no"}))
    assert isinstance(strange, RefusedError)
    assert strange.code == "refused"


def test_a_server_that_gives_a_byte_now_and_then_is_given_up() -> None:
    seconds = iter(range(0, 10_000, 50))

    def drips(question: Connection) -> None:
        question.answer("200 OK", "Content-Length: 1000")
        for _ in range(20):
            question.send(b"x" * 50)

    with liar(drips) as server, pytest.raises(ServerError, match=r"no whole answer in 120 s|does not fit"):
        HttpsServer(server.url, None, lambda: float(next(seconds))).enrol(REQUEST)


def test_a_redirect_takes_the_token_nowhere() -> None:
    with liar(answers("307 Temporary Redirect", b"", "Location: http://127.0.0.1:1/")) as server:
        with pytest.raises(ServerError, match="status 307"):
            HttpsServer(server.url, None).enrol(REQUEST)
        assert len(server.asked) == 1


@pytest.mark.parametrize("said", ["certificate is not yet valid", "certificate has expired"])
def test_a_box_whose_clock_is_wrong_is_told_so_and_not_that_the_server_is_a_thief(said: str) -> None:
    import ssl

    import urllib3

    reason = ssl.SSLCertVerificationError(1, f"[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {said}")
    error = web._said("https://fleet.example", urllib3.exceptions.SSLError(reason))
    assert "which this box takes for today; set the box's clock" in str(error)
