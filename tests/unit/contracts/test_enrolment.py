"""An invitation is the same as flags, file and code; what is none is refused, and its token is never shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.documents import read_document
from contracts.enrolment import Invitation, read_invitation
from contracts.errors import DocumentError, WrittenError

TOKEN = "enrol-k7dq2m5x-" + "a2b3" * 8
GOOD = {"server": "https://fleet.example:8443", "token": TOKEN, "ca": "0f" * 32, "name": "gate-1"}
HOSTS = st.from_regex(r"[a-z0-9.-]{1,40}(:[1-9][0-9]{0,3})?(/[a-z0-9/_-]{0,20}[a-z0-9])?", fullmatch=True)


def invitation(**changes: str | None) -> Invitation:
    given = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    return read_document(Invitation, given, "flags")


@given(HOSTS, st.booleans(), st.booleans())
def test_a_code_says_what_the_invitation_says(host: str, pinned: bool, named: bool) -> None:
    made = invitation(server=f"https://{host}", ca=GOOD["ca"] if pinned else None, name=GOOD["name"] if named else None)
    assert read_invitation(made.text(), "code") == made


def test_a_code_is_small_enough_for_a_poor_camera() -> None:
    assert len(invitation().text()) < 200


def test_a_digest_is_taken_as_openssl_writes_it() -> None:
    shown = ":".join("0F" for _ in range(32))
    assert invitation(ca=shown).ca == "0f" * 32


@pytest.mark.parametrize(
    "change",
    [
        {"server": "http://fleet.example"},
        {"server": "https://"},
        {"server": "https://user:word@fleet.example"},
        {"server": "https://fleet.example/?x=1"},
        {"server": "https://fleet.example:99999"},
        {"server": "https://fleet.example:0"},
        {"server": "https://fleet example"},
        {"server": None},
        {"token": "enrol-k7dq2m5x"},
        {"token": TOKEN.upper()},
        {"token": None},
        {"ca": "0f"},
        {"name": "Gate 1"},
    ],
)
def test_what_does_not_fit_is_refused_without_showing_the_token(change: dict[str, str | None]) -> None:
    with pytest.raises(DocumentError) as error:
        invitation(**change)
    assert "k7dq2m5x" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://fleet.example?token=" + TOKEN,
        "edgetally://fleet.example",
        "edgetally://fleet.example?token=" + TOKEN + "&token=" + TOKEN,
        "edgetally://fleet.example?token=" + TOKEN + "&other=1",
        "edgetally://fleet.example?token=" + TOKEN + "#x",
        "edgetally://[::1?token=" + TOKEN,
        "edgetally://fleet.example?token=" + TOKEN + "&name=" + "a" * 2_000,
        "edgetally://fleet.example?token=enrol-x",
    ],
)
def test_a_code_that_is_no_invitation_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(WrittenError) as error:
        read_invitation(text, "the QR code")
    assert "k7dq2m5x" not in str(error.value)


@given(st.text(max_size=300) | st.text(max_size=200).map(lambda text: f"edgetally://{text}?token={TOKEN}&ca={text}"))
def test_any_text_is_an_invitation_or_is_refused(text: str) -> None:
    said = ""
    try:
        found = read_invitation(text, "the QR code")
    except WrittenError as error:
        said = str(error)
    else:
        assert found.server.startswith("https://")
    assert TOKEN not in said
