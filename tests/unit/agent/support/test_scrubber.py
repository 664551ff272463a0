"""Whatever a secret stands in, and however it is written there, it does not come out."""

from __future__ import annotations

import json
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from agent.support.scrubber import Scrubber, document_of_text, secrets_of, secrets_of_environment, sources_of

Secret = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=6, max_size=30)


@given(secret=Secret, before=st.text(max_size=20), after=st.text(max_size=20))
def test_a_known_secret_comes_out_of_no_text(secret: str, before: str, after: str) -> None:
    cleaned = Scrubber([secret], []).clean(f"{before}{secret}{after}")
    assert secret not in cleaned or secret in before + "…" + after or set(secret) <= set("…")


@given(secret=Secret)
def test_neither_as_json_nor_in_a_url(secret: str) -> None:
    scrubber = Scrubber([secret], [])
    for form in (json.dumps(secret)[1:-1], quote(secret, safe="")):
        if len(form) >= 4 and not set(form) <= set("…"):
            assert form not in scrubber.clean(f"a {form} b").replace("…", "")


def test_words_of_documents_stay_whatever_a_variable_is_called() -> None:
    assert Scrubber(["true", "abc"], []).clean('{"a": true, "b": "abc"}') == '{"a": true, "b": "abc"}'


def test_of_a_source_only_its_host_is_left() -> None:
    source = "rtsp://me:hunter2@192.0.2.7:554/live/tok3n?key=s3cret"
    text = Scrubber([], [source]).clean(f"opening {source}: /live/tok3n is not there, said 192.0.2.7")
    assert "hunter2" not in text
    assert "tok3n" not in text
    assert "s3cret" not in text
    assert "192.0.2.7" in text


def test_a_private_key_is_left_out_also_where_it_is_cut_short() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc\n"
    assert Scrubber([], []).clean(f"a\n{key}-----END RSA PRIVATE KEY-----\nb") == "a\n… a private key\nb"
    assert "MIIEow" not in Scrubber([], []).clean(f"a\n{key}")


def test_a_secret_in_a_unit_is_left_out() -> None:
    unit = "SetCredential=edgetally.broker.password:hunter2 \\\n  hunter3\nEnvironment=X_PASSWORD=hunter4\nUser=me\n"
    cleaned = Scrubber([], []).clean(unit)
    assert "hunter" not in cleaned
    assert "User=me" in cleaned


def test_secrets_are_found_by_what_they_are_called() -> None:
    document = {"broker": {"host": "b", "password": "one"}, "page": {"password": "two"}, "x": [{"api_token": "three"}]}
    assert set(secrets_of(document)) == {"one", "two", "three"}


def test_sources_are_found_wherever_cameras_stand() -> None:
    document = {"config": {"camera": [{"id": "a", "source": "rtsp://x"}, {"id": "b", "source": "/dev/video0"}]}}
    assert list(sources_of(document)) == ["rtsp://x"]


def test_a_variable_that_holds_a_table_is_looked_into() -> None:
    variables = {"EDGETALLY_BROKER": '{"host": "b", "password": "one"}', "OTHER_TOKEN": "two", "HOME": "/root"}
    assert set(secrets_of_environment(variables)) == {"one", "two"}


def test_a_file_that_does_not_parse_still_tells_its_secrets() -> None:
    text = "[broker\npassword = \"hunter2\"\n[[camera]]\nsource = 'rtsp://me:hunter3@x'\n"
    document = document_of_text(text)
    assert set(secrets_of(document)) == {"hunter2"}
    assert set(sources_of(document)) == {"rtsp://me:hunter3@x"}
