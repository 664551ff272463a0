"""Queries: what they mean, what their text is, and what is said of those that are wrong."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.inventory.query import EVERY, All, Any, Compare, Not, Query, QueryError, check_names, fits
from fleet.inventory.query_parser import LONGEST_QUERY, parse_query

BOX = {"site": ["taipei"], "target": ["jetson-orin-jp6", "jetson-thor-jp7"], "lane": ["north gate"]}


def holds(text: str) -> bool:
    return parse_query(text).holds(lambda name: BOX.get(name, []))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("site=taipei", True),
        ("site = taipei", True),
        ("site=tainan", False),
        ("site!=taipei", False),
        ("site!=tainan", True),
        ("target=jetson-thor-jp7", True),
        ("target!=jetson-thor-jp7", False),
        ("target~jetson-*", True),
        ("target~*jp?", True),
        ("target~jetson", False),
        ("site~t.ipei", False),
        ("floor=2", False),
        ("floor!=2", True),
        ("floor~*", False),
        ('lane="north gate"', True),
        ("site=taipei & target~jetson-*", True),
        ("site=tainan | site=taipei & floor=2", False),
        ("site=taipei | site=tainan & floor=2", True),
        ("(site=taipei | site=tainan) & floor=2", False),
        ("!site=tainan & !(floor=2)", True),
        ("!!site=taipei", True),
    ],
)
def test_a_query_means_what_it_says(text: str, expected: bool) -> None:
    assert holds(text) is expected


@pytest.mark.parametrize(
    ("text", "at", "said"),
    [
        ("site", 4, "expected '=', '!=' or '~' after 'site', got the end"),
        ("site=", 5, "expected a value after site=, got the end"),
        ("site==a", 5, "expected a value after site=, got '='"),
        ("=a", 0, "expected a label, '!' or '(', got '='"),
        ("site=a &", 8, "expected a label, '!' or '(', got the end"),
        ("site=a site=b", 7, "expected '&', '|' or the end, got 'site'"),
        ("(site=a", 7, "expected '&', '|' or ')', got the end"),
        ("site=a)", 6, "expected '&', '|' or the end, got ')'"),
        ("site=a && b=c", 8, "expected a label, '!' or '(', got '&'"),
        ("site=a;b", 6, "put it in quotes"),
        ('site="a', 5, "not well formed"),
        ("(" * 33 + "a=b", 32, "32 '(' and '!' within each other at most"),
        ("a=" + "b" * LONGEST_QUERY, LONGEST_QUERY, f"got {LONGEST_QUERY + 2}"),
    ],
)
def test_an_error_says_where_what_was_expected_and_what_came(text: str, at: int, said: str) -> None:
    with pytest.raises(QueryError) as error:
        parse_query(text)
    assert error.value.at == at
    assert said in error.value.problem
    assert f"character {at + 1}" in str(error.value)


def test_a_name_that_no_box_has_is_refused_with_the_nearest_one() -> None:
    text = "class=x & stie=taipei"
    with pytest.raises(QueryError, match=r"no box has the label 'stie'; did you mean 'site'\?") as error:
        check_names(parse_query(text), text, ["site", "class"])
    assert error.value.at == text.index("stie")
    with pytest.raises(QueryError, match=r"known: a, b, c, d, e, f and 1 more"):
        check_names(parse_query("zzz=1"), "zzz=1", list("abcdefg"))


NAMES = st.from_regex(r"[A-Za-z0-9_.:-]+", fullmatch=True)
COMPARES = st.builds(Compare, NAMES, st.sampled_from(["=", "!=", "~"]), st.text())


def _deeper(inner: st.SearchStrategy[Query]) -> st.SearchStrategy[Query]:
    several = st.lists(inner, min_size=2, max_size=4).map(tuple)
    return st.builds(Not, inner) | st.builds(All, several) | st.builds(Any, several)


QUERIES: st.SearchStrategy[Query] = st.recursive(COMPARES, _deeper, max_leaves=12)


@given(QUERIES)
def test_the_text_of_a_query_reads_as_the_same_query(query: Query) -> None:
    text = str(query)
    if len(text) <= LONGEST_QUERY:
        try:
            assert parse_query(text) == query
        except QueryError as error:
            assert "within each other" in error.problem  # noqa: PT017 - the only reason that is allowed


@given(QUERIES, st.dictionaries(NAMES, st.lists(st.text())))
def test_not_is_the_opposite_and_the_parts_make_the_whole(query: Query, box: dict[str, list[str]]) -> None:
    def asked(name: str) -> list[str]:
        return box.get(name, [])

    assert Not(query).holds(asked) is not query.holds(asked)
    assert All((query, EVERY)).holds(asked) is query.holds(asked)
    assert Any((query, Not(query))).holds(asked)


@given(st.text(alphabet='ab=~!&|()"\\ *', max_size=40))
def test_any_text_is_read_or_refused_at_a_place_within_it(text: str) -> None:
    try:
        query = parse_query(text)
    except QueryError as error:
        assert 0 <= error.at <= len(text)  # noqa: PT017 - either outcome is right
    else:
        assert parse_query(str(query)) == query


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=10))
def test_a_pattern_is_what_a_regular_expression_makes_of_it(pattern: str, text: str) -> None:
    expression = pattern.replace("*", ".*").replace("?", ".")
    assert fits(pattern, text) is bool(re.fullmatch(expression, text))


def test_a_pattern_of_many_stars_ends() -> None:
    assert not fits("*a" * 100 + "b", "a" * 300)
