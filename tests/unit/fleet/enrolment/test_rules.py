"""Which boxes a token lets in, and what they are called."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.documents import ID_PATTERN
from contracts.enrolment import token_id
from contracts.errors import WrittenError
from fleet.enrolment.errors import EnrolmentRefusedError
from fleet.enrolment.rules import Asked, State, check_name, check_token, choose_name
from fleet.enrolment.spans import span_ms
from fleet.enrolment.tokens import Bounds, EnrolToken, new_token

NAMES = st.from_regex(r"[a-z0-9_-]{0,63}\*[a-z0-9_-]{0,63}", fullmatch=True).filter(lambda text: len(text) <= 64)


def token(used: int = 0, revoked_ms: int | None = None, **bounds: Any) -> EnrolToken:
    return EnrolToken("k7dq2m5x", "", Bounds(**bounds), used, 0, 1_000, revoked_ms)


def test_a_tokens_text_gives_its_id_and_no_other_text_does() -> None:
    id_, text = new_token()
    assert token_id(text) == id_
    assert token_id(text[:-1]) is None
    assert token_id(text.upper()) is None
    assert token_id(f"{text}\n") is None


@given(st.text(max_size=80))
def test_any_text_is_a_token_or_is_not(text: str) -> None:
    found = token_id(text)
    assert found is None or text.startswith(f"enrol-{found}-")


@pytest.mark.parametrize(
    ("found", "now_ms", "code"),
    [
        (None, 0, "token_unknown"),
        (token(revoked_ms=5), 0, "token_revoked"),
        (token(), 1_000, "token_expired"),
        (token(used=1), 0, "token_used_up"),
        (token(used=3, uses=3), 0, "token_used_up"),
    ],
)
def test_a_token_that_is_no_good_says_why(found: EnrolToken | None, now_ms: int, code: str) -> None:
    with pytest.raises(EnrolmentRefusedError) as error:
        check_token(found, now_ms, again=False)
    assert error.value.code == code


def test_a_box_whose_answer_was_lost_is_let_in_by_a_token_that_is_used_up_but_by_none_that_is_over() -> None:
    assert check_token(token(used=1), 999, again=True) == token(used=1)
    with pytest.raises(EnrolmentRefusedError, match="expired"):
        check_token(token(used=1), 1_000, again=True)
    with pytest.raises(EnrolmentRefusedError, match="revoked"):
        check_token(token(used=1, revoked_ms=1), 999, again=True)


@pytest.mark.parametrize(
    ("bounds", "asked", "name"),
    [
        ({}, Asked("gate-1"), "gate-1"),
        ({}, Asked(None, "SN 00/17"), "sn-00-17"),
        ({}, Asked(None, None), "chance"),
        ({}, Asked(None, "///"), "chance"),
        ({"names": "shop-*"}, Asked(None, "0A1"), "shop-0a1"),
        ({"names": "shop-*"}, Asked("shop-7", "0A1"), "shop-7"),
        ({"names": "gate"}, Asked(None, "0A1"), "gate"),
        ({"names": "gate"}, Asked("gate"), "gate"),
        ({"only": ("0A1",)}, Asked("b", "0A1"), "b"),
        ({"only": ("b",)}, Asked("b", "0A1"), "b"),
    ],
)
def test_a_box_is_called_what_it_asks_for_or_after_its_serial_number(
    bounds: dict[str, Any], asked: Asked, name: str
) -> None:
    assert choose_name(token(**bounds), asked, "chance") == name


@pytest.mark.parametrize(
    ("bounds", "asked"),
    [
        ({"names": "shop-*"}, Asked("gate-1")),
        ({"names": "gate"}, Asked("gate-1")),
        ({"names": "a*a"}, Asked("a")),
        ({"only": ("0A1",)}, Asked("b", "0A2")),
        ({"only": ("0A1",)}, Asked("b", None)),
    ],
)
def test_a_box_that_the_token_is_not_for_is_refused(bounds: dict[str, Any], asked: Asked) -> None:
    with pytest.raises(EnrolmentRefusedError) as error:
        choose_name(token(**bounds), asked, "chance")
    assert error.value.code == "name_not_allowed"


@given(NAMES, st.one_of(st.none(), st.text(max_size=128)), st.one_of(st.none(), st.text(max_size=80)))
def test_whatever_a_box_says_it_gets_a_name_that_may_stand_in_a_topic_and_fits_the_token_or_none(
    names: str, serial: str | None, name: str | None
) -> None:
    before, _, after = names.partition("*")
    try:
        found = choose_name(token(names=names), Asked(name, serial), "0a1b2c3d")
    except EnrolmentRefusedError:
        return
    assert re.fullmatch(ID_PATTERN.strip("^$"), found)
    assert found.startswith(before)
    assert found.endswith(after)


@pytest.mark.parametrize(
    ("state", "known", "code"),
    [
        ("active", True, "name_taken"),
        ("active", False, "name_taken"),
        (None, True, "name_taken"),
        ("user", False, "name_taken"),
        ("decommissioned", False, "decommissioned"),
        ("decommissioned", True, "decommissioned"),
    ],
)
def test_a_name_that_somebody_has_or_had_is_not_given_away(state: State | None, known: bool, code: str) -> None:
    with pytest.raises(EnrolmentRefusedError) as error:
        check_name("gate", state, known=known)
    assert error.value.code == code


@pytest.mark.parametrize(("state", "known"), [(None, False), ("allowed", False), ("allowed", True)])
def test_a_name_is_given_where_nobody_has_it_or_it_was_allowed(state: State | None, known: bool) -> None:
    check_name("gate", state, known=known)


@pytest.mark.parametrize(
    "bounds",
    [
        {"names": "two**"},
        {"names": "A*"},
        {"names": ""},
        {"names": "a" * 64 + "*"},
        {"names": "gate", "uses": 2},
        {"only": ("",)},
        {"only": ("a" * 129,)},
    ],
)
def test_bounds_that_mean_nothing_are_refused(bounds: dict[str, Any]) -> None:
    with pytest.raises(WrittenError):
        Bounds(**bounds)


@pytest.mark.parametrize(("text", "ms"), [("7d", 604_800_000), ("12h", 43_200_000), ("30m", 1_800_000)])
def test_a_span_is_read(text: str, ms: int) -> None:
    assert span_ms(text) == ms


@pytest.mark.parametrize("text", ["", "7", "d", "0d", "-1d", "7 d", "7w", "9999d", "1d1h", "7d\n"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(WrittenError, match="7d, 12h or 30m"):
        span_ms(text)
