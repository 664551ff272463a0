from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.backoff import Backoff, Jitter


@given(
    first=st.floats(0.01, 10),
    growth=st.floats(1, 100),
    factor=st.floats(1, 10),
    chances=st.lists(st.floats(0, 1), min_size=1, max_size=50),
    jitter=st.sampled_from(["full", "equal"]),
)
def test_a_wait_lies_between_its_floor_and_its_ceiling(
    first: float, growth: float, factor: float, chances: list[float], jitter: Jitter
) -> None:
    most = first * growth
    numbers = iter(chances)
    backoff = Backoff(first, most, factor, jitter, lambda: next(numbers))
    ceiling = first
    for _ in chances:
        wait = backoff.next()
        assert (ceiling / 2 if jitter == "equal" else 0) <= wait <= ceiling * (1 + 1e-9)
        ceiling = min(most, ceiling * factor)


def test_it_grows_to_its_most_and_begins_again() -> None:
    backoff = Backoff(first=0.5, most=3.0, factor=2, chance=lambda: 1.0)
    assert [backoff.next() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    backoff.reset()
    assert backoff.next() == 0.5


def test_days_of_tries_do_not_overflow() -> None:
    backoff = Backoff(first=0.5, most=30.0, chance=lambda: 0.0)
    assert {backoff.next() for _ in range(5000)} == {0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0}


@pytest.mark.parametrize(("first", "most", "factor"), [(0, 1, 2), (2, 1, 2), (1, 2, 0.5)])
def test_numbers_that_would_never_wait_are_refused(first: float, most: float, factor: float) -> None:
    with pytest.raises(ValueError, match="expected 0 < first <= most and factor >= 1"):
        Backoff(first, most, factor)
