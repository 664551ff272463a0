"""Where boxes come in: whatever a stranger sends is answered without a fault, and guessing is slow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.provisioning.keys import make_key, make_request
from contracts.enrolment import CA_PATH, ENROL_PATH, LARGEST_REQUEST, RENEW_PATH, EnrolAnswer
from fleet.console.settings import ConsoleSettings
from fleet.enrolment.authority import new_authority
from fleet.enrolment.enrol import Enrolment
from fleet.enrolment.terms import Terms
from fleet.enrolment.tokens import Bounds
from fleet.store.database import Database
from fleet.store.enrolment import EnrolTokens
from tests.unit.fleet.console.consoles import AUTHOR, DAY_MS, Client, Rig
from tests.unit.fleet.enrolment.enrolments import BROKER

CSR = make_request(make_key())


def made(folder: Path, **limits: Any) -> Rig:
    found = Rig(Database(str(folder / "fleet.db")), ConsoleSettings(**limits))
    authority = new_authority("test", found.now_ms, 3_650)
    found.console.enrolment = Enrolment(found.database, authority, Terms(BROKER, authority.pem))
    found.user("ada", "admin")
    return found


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    found = made(tmp_path)
    yield found
    found.database.close()


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """One that lets itself be asked without end."""
    found = made(tmp_path_factory.mktemp("fuzz"), strangers=10**9, enrolments=10**9)
    yield found
    found.database.close()


def token(rig: Rig, **bounds: Any) -> str:
    made = EnrolTokens(rig.database).add("", Bounds(**bounds), AUTHOR, rig.now_ms, rig.now_ms + DAY_MS)
    return made[1]


def ask(rig: Rig, **document: object) -> tuple[int, dict[str, Any]]:
    answer = Client(rig.app).send("POST", ENROL_PATH, {"csr": CSR, **document})
    return answer.status, answer.json()


def test_a_box_is_let_in_without_a_user_and_nothing_of_it_is_kept_by_caches(rig: Rig) -> None:
    answer = Client(rig.app).send("POST", ENROL_PATH, {"csr": CSR, "token": token(rig), "name": "gate-1"})
    assert EnrolAnswer.model_validate_json(answer.body).device == "gate-1"
    assert answer.header("cache-control") == "no-store"


@pytest.mark.parametrize("length", [None, str(LARGEST_REQUEST + 1), "5"])
def test_a_body_that_is_too_large_is_refused_whatever_it_says_of_itself(rig: Rig, length: str | None) -> None:
    headers = {} if length is None else {"content-length": length}
    assert Client(rig.app).ask("POST", ENROL_PATH, b"x" * (LARGEST_REQUEST + 1), headers).status == 413


def test_who_is_refused_hears_a_word_and_a_sentence_and_the_log_has_no_token(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    text = token(rig)
    assert ask(rig, token=text, name="gate-1")[0] == 200
    status, said = ask(rig, token=text, name="gate-2", csr=make_request(make_key()))
    assert (status, said["error"]) == (403, "token_used_up")
    assert "ask for another one" in said["message"]
    status, said = ask(rig, token=token(rig), name="gate-1", csr=make_request(make_key()))
    assert (status, said["error"]) == (409, "name_taken")
    assert rig.console.refusals["enrol"] == 2
    assert "not let in (name_taken)" in caplog.text
    assert text.rpartition("-")[2] not in caplog.text


def test_guessing_is_slow_and_boxes_that_are_let_in_are_not_held_up(rig: Rig) -> None:
    text = token(rig, uses=100)
    for number in range(40):
        assert (
            ask(rig, token=text, name=f"box-{number}", csr=CSR if number == 0 else make_request(make_key()))[0] == 200
        )
    wrong = text[:-4] + "aaaa"
    statuses = [ask(rig, token=wrong)[0] for _ in range(21)]
    assert statuses == [403] * 20 + [429]
    assert ask(rig, token=text, name="box-99", csr=make_request(make_key()))[0] == 429, "from that address"
    other = Client(rig.app, address="203.0.113.9")
    document = {"token": text, "name": "box-98", "csr": make_request(make_key())}
    assert other.send("POST", ENROL_PATH, document).status == 200


def test_a_console_that_lets_no_boxes_in_says_so(rig: Rig) -> None:
    rig.console.enrolment = None
    for method, path in (("GET", CA_PATH), ("POST", ENROL_PATH), ("POST", RENEW_PATH)):
        answer = Client(rig.app).ask(method, path, b"{}" if method == "POST" else b"")
        assert (answer.status, answer.json()["error"]) == (404, "no_enrolment")


def test_the_authority_is_shown_to_whoever_asks(rig: Rig) -> None:
    answer = Client(rig.app).get(CA_PATH)
    assert (answer.status, answer.text.count("BEGIN CERTIFICATE")) == (200, 1)
    assert "PRIVATE" not in answer.text


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=60) | st.just(CSR),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(["token", "csr", "name", "serial", "certificate", "signature"])


@settings(max_examples=150)
@given(path=st.sampled_from([ENROL_PATH, RENEW_PATH]), document=st.dictionaries(FIELDS, ANYTHING))
def test_any_document_is_answered_without_a_fault(patient: Rig, path: str, document: dict[str, object]) -> None:
    answer = Client(patient.app).send("POST", path, document)
    assert answer.status in {403, 409, 422}, answer.text
    assert {"error", "message"} <= answer.json().keys()


@settings(max_examples=150)
@given(path=st.sampled_from([ENROL_PATH, RENEW_PATH, CA_PATH]), method=st.sampled_from(["POST", "GET", "PUT"]),
       body=st.binary(max_size=300) | st.binary(max_size=60).map(lambda data: b"[" * 9_000 + data))  # fmt: skip
def test_any_bytes_are_answered_without_a_fault(patient: Rig, path: str, method: str, body: bytes) -> None:
    answer = Client(patient.app).ask(method, path, body)
    assert answer.status in {200, 403, 405, 409, 422}, answer.text
    assert answer.status != 200 or path == CA_PATH


@settings(max_examples=150)
@given(at=st.integers(0, len(CSR) - 1), instead=st.characters(max_codepoint=255), cut=st.integers(0, len(CSR)))
def test_a_request_for_a_certificate_that_is_spoiled_anywhere_is_refused_or_taken_for_what_it_is(
    patient: Rig, at: int, instead: str, cut: int
) -> None:
    for csr in (CSR[:at] + instead + CSR[at + 1 :], CSR[:cut]):
        body = json.dumps({"token": "enrol-aaaaaaaa-" + "a" * 32, "csr": csr}).encode()
        answer = Client(patient.app).ask("POST", ENROL_PATH, body)
        assert (answer.status, answer.json()["error"]) in {(409, "csr"), (403, "token_unknown")}
