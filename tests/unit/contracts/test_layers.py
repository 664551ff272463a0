"""Layers lie over one another by name, in one way on the box and in the fleet."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.layers import leaves, merge

NAMES = st.sampled_from(["a", "b", "c"])
ROWS = st.lists(
    st.fixed_dictionaries({"id": NAMES}, optional={"fps": st.integers(1, 9), "enabled": st.booleans()}),
    unique_by=lambda row: row["id"],
)
DOCUMENTS = st.fixed_dictionaries(
    {}, optional={"camera": ROWS, "window_seconds": st.integers(1, 9), "labels": st.dictionaries(NAMES, NAMES)}
)


@settings(max_examples=50, deadline=None)
@given(DOCUMENTS, DOCUMENTS)
def test_every_value_of_the_upper_layer_and_no_other_one_replaces_one_below(
    under: dict[str, object], over: dict[str, object]
) -> None:
    def set_by(document: dict[str, object]) -> dict[tuple[str, ...], object]:
        return {path: value for path, value in leaves(document).items() if value not in ({}, [])}

    assert set_by(merge(under, over)) == set_by(under) | set_by(over)


@settings(max_examples=50, deadline=None)
@given(DOCUMENTS, DOCUMENTS, DOCUMENTS)
def test_merging_is_associative(a: dict[str, object], b: dict[str, object], c: dict[str, object]) -> None:
    assert merge(merge(a, b), c) == merge(a, merge(b, c))


@settings(max_examples=50, deadline=None)
@given(DOCUMENTS, DOCUMENTS)
def test_a_layer_laid_over_twice_is_as_laid_over_once(a: dict[str, object], b: dict[str, object]) -> None:
    once = merge(a, b)
    assert merge(once, b) == once


def test_a_text_is_no_list_of_rows_whatever_it_is_called() -> None:
    assert merge({"labels": {"zone": "north"}}, {"labels": {"zone": "east"}}) == {"labels": {"zone": "east"}}


@pytest.mark.parametrize("rows", [[{"id": "a", "fps": 1}, {"id": "a", "fps": 2}], [{"fps": 1}]])
def test_wrong_rows_over_none_stay_for_who_checks_them(rows: list[dict[str, object]]) -> None:
    assert merge({"device": "box-1"}, {"camera": rows}) == {"device": "box-1", "camera": rows}
