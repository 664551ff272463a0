"""Spreading over a source takes nothing twice and leaves no part of it out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from converters.pictures.item import spread


@given(st.integers(1, 5000), st.integers(0, 500))
def test_each_is_taken_at_most_once_and_as_many_as_there_are(total: int, count: int) -> None:
    chosen = spread(total, count)
    assert len(set(chosen)) == len(chosen) == min(total, count)
    assert chosen == sorted(chosen)
    assert all(0 <= index < total for index in chosen)


@pytest.mark.parametrize(("total", "count"), [(16, 16), (17, 16), (313, 16), (5000, 300)])
def test_gaps_differ_by_one_at_most(total: int, count: int) -> None:
    assert np.ptp(np.diff(spread(total, count))) <= 1
