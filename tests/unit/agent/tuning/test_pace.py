"""Measuring stands back from a box whose frames it costs, and comes near again where it does not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.tuning.pace import Frames, RestPace

shares = st.none() | st.floats(0, 1)


@given(st.lists(st.tuples(st.floats(0.01, 1000), shares, shares)))
def test_it_rests_at_least_twice_as_long_as_it_measured_and_at_most_five_minutes(
    steps: list[tuple[float, float | None, float | None]],
) -> None:
    pace = RestPace()
    for seconds, before, during in steps:
        rest = pace.rest(seconds, before, during)
        assert min(2 * seconds, 300) <= rest <= 300


def test_lost_frames_double_the_rests_up_to_a_limit() -> None:
    pace = RestPace()
    assert [pace.rest(1.0, 0.0, 0.1) for _ in range(8)] == [4, 8, 16, 32, 64, 128, 128, 128]


def test_none_lost_halves_them_again() -> None:
    pace = RestPace()
    for _ in range(3):
        pace.rest(1.0, 0.0, 0.5)
    assert [pace.rest(1.0, 0.0, 0.0) for _ in range(4)] == [8, 4, 2, 2]


def test_a_box_that_falls_behind_anyway_is_measured_all_the_same() -> None:
    assert RestPace().rest(1.0, 0.6, 0.61) == 2


def test_where_no_frame_comes_nothing_is_learnt() -> None:
    pace = RestPace()
    pace.rest(1.0, 0.0, 0.5)
    assert pace.rest(1.0, None, 0.5) == pace.rest(1.0, 0.0, None) == 4


def test_the_share_is_of_the_frames_between() -> None:
    assert Frames(150, 25).late_share(Frames(50, 5)) == 0.2
    assert Frames(50, 5).late_share(Frames(50, 5)) is None
