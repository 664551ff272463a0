"""Values that follow one another tell less than values that are drawn anew."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.update.series import Series

NUMBERS = st.lists(st.floats(-1e3, 1e3), max_size=60)


def of(values: list[float]) -> Series:
    series = Series()
    for value in values:
        series.add(value)
    return series


@given(NUMBERS)
def test_sums_are_those_of_numpy_and_a_stretch_is_from_one_to_all(values: list[float]) -> None:
    series = of(values)
    assert 1 <= series.stretch <= max(1, len(values))
    if values:
        assert series.mean == pytest.approx(float(np.mean(values)), abs=1e-6)
        assert series.variance == pytest.approx(float(np.var(values)), abs=1e-4)


@given(st.floats(-1e3, 1e3), st.integers(1, 50))
def test_what_never_changes_is_one_thing(value: float, n: int) -> None:
    assert of([value] * n).stretch == n


def test_what_is_drawn_anew_is_as_many_as_it_is() -> None:
    assert of(list(np.random.default_rng(1).poisson(3.0, 3000).astype(float))).stretch < 1.1


@pytest.mark.parametrize("memory", [0.5, 0.8, 0.95])
def test_what_forgets_slowly_is_fewer(memory: float) -> None:
    draw, values = np.random.default_rng(2), [0.0]
    for _ in range(20_000):
        values.append(memory * values[-1] + draw.normal())
    assert of(values).stretch == pytest.approx((1 + memory) / (1 - memory), rel=0.15)
