"""The assignment of least cost."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from agent.counting.assignment import Costs, assign

ALONE = 1.3
costs = st.one_of(st.just(float("inf")), st.floats(0, 1.2).map(lambda value: round(value, 2)))
tables = st.tuples(st.integers(0, 4), st.integers(0, 4)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=costs)
)


def least(table: Costs) -> float:
    """By trying everything: each row takes a column of its own, or stays alone."""
    rows, columns = table.shape
    best = float("inf")
    for choice in itertools.product([*range(columns), None], repeat=rows):
        taken = [column for column in choice if column is not None]
        if len(set(taken)) == len(taken):
            best = min(best, sum(ALONE if c is None else float(table[r, c]) for r, c in enumerate(choice)))
    return best


@given(tables)
def test_nothing_is_cheaper(table: Costs) -> None:
    pairs = assign(table, ALONE)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    total = sum(float(table[pair]) for pair in pairs) + ALONE * (len(table) - len(pairs))
    assert np.isclose(total, least(table), atol=1e-9)


def test_a_thing_moves_far_rather_than_dies_for_a_nearer_one() -> None:
    queue = np.array([[0.6, np.inf], [0.2, 0.6]])
    assert assign(queue, ALONE) == [(0, 0), (1, 1)]


def test_in_a_crowd_no_two_would_gain_by_swapping() -> None:
    table = np.random.default_rng(7).random((60, 60))
    pairs = assign(table, 10.0)
    assert len(pairs) == 60
    swaps = itertools.combinations(pairs, 2)
    assert all(table[a, b] + table[c, d] <= table[a, d] + table[c, b] + 1e-12 for (a, b), (c, d) in swaps)
