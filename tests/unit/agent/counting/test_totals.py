"""Crossings added up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.counting.lines import Crossing
from agent.counting.totals import LineTotals, definition_digest, tally
from contracts.config import LineConfig

LINE = {"name": "gate", "start": [0.0, 0.5], "end": [1.0, 0.5], "labels": ["car", "bus"], "anchor": "center"}

crossings = st.lists(
    st.builds(
        Crossing,
        st.just("gate"),
        st.sampled_from(["in", "out"]),
        st.sampled_from(["car", "bus"]),
        st.just(1),
        st.just(0.0),
    )
)


@given(crossings, st.integers(0, 20))
def test_totals_are_the_same_however_they_are_added(found: list[Crossing], cut: int) -> None:
    totals = LineTotals("id", "2026-01-01T00:00:00Z")
    at_once, in_parts = totals.add(tally(found)), totals.add(tally(found[:cut])).add(tally(found[cut:]))
    assert at_once == in_parts
    assert at_once.total_in + at_once.total_out == len(found)
    assert at_once.by_label == tally(found)
    assert totals.by_label == {}


def test_totals_go_on_from_what_was_kept() -> None:
    kept = LineTotals("id", "then", {"car": {"in": 7, "out": 2}})
    more = kept.add(tally([Crossing("gate", "in", "car", 1, 0.0), Crossing("gate", "out", "bus", 2, 0.0)]))
    assert (more.total_in, more.total_out) == (8, 3)
    assert more.by_label == {"car": {"in": 8, "out": 2}, "bus": {"in": 0, "out": 1}}
    assert kept.by_label == {"car": {"in": 7, "out": 2}}


@pytest.mark.parametrize(
    "change",
    [
        {"start": [0.0, 0.51]},
        {"end": [0.9, 0.5]},
        {"labels": ["car"]},
        {"labels": []},
        {"anchor": "bottom"},
        {"name": "b"},
    ],
)
def test_another_line_has_another_digest(change: dict[str, object]) -> None:
    line, other = LineConfig.model_validate(LINE), LineConfig.model_validate({**LINE, **change})
    assert definition_digest("north", line) != definition_digest("north", other)


def test_the_same_line_has_the_same_digest_for_ever() -> None:
    """A written-down digest: changing how it is made would begin every counter anew."""
    line, reordered = LineConfig.model_validate(LINE), LineConfig.model_validate({**LINE, "labels": ["bus", "car"]})
    assert definition_digest("north", line) == definition_digest("north", reordered)
    assert definition_digest("north", line) != definition_digest("south", line)
    assert definition_digest("north", line).startswith("47d605c03921fab8")
