"""Which row goes with which column: the assignment of least total cost, rows and columns may stay alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Costs = NDArray[np.float64]

_FORBIDDEN = 1e9  # stands for infinity, which would make NaN of differences


def assign(costs: Costs, alone: float) -> list[tuple[int, int]]:
    """Pair rows with columns so that the pairs' costs plus ``alone`` for each row left alone are least.

    Args:
        costs: float64 ``(n, m)``; infinite where a pair is not allowed.
        alone: what it costs to leave a row without a column.

    Returns:
        Pairs (row, column), in order of rows.
    """
    allowed = np.isfinite(costs)
    simple = _only_choices(allowed)
    rows, columns = np.flatnonzero(allowed.any(axis=1)), np.flatnonzero(allowed.any(axis=0))
    rows = rows[~np.isin(rows, [row for row, _ in simple])]
    columns = columns[~np.isin(columns, [column for _, column in simple])]
    pairs = [pair for pair in simple if costs[pair] < alone]
    if len(rows) and len(columns):
        padded = _with_place_for_all(costs[np.ix_(rows, columns)], alone)
        for row, column in enumerate(_least_cost(padded)):
            if column < len(columns) and allowed[rows[row], columns[column]]:
                pairs.append((int(rows[row]), int(columns[column])))
    return sorted(pairs)


def _only_choices(allowed: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Pairs whose row and column allow nothing else; in most frames these are nearly all."""
    single = allowed & (allowed.sum(axis=1, keepdims=True) == 1) & (allowed.sum(axis=0, keepdims=True) == 1)
    return [(int(row), int(column)) for row, column in np.argwhere(single)]


def _with_place_for_all(costs: Costs, alone: float) -> Costs:
    """Add one column a row that stands for staying alone."""
    rows = len(costs)
    return np.hstack((np.where(np.isfinite(costs), costs, _FORBIDDEN), np.full((rows, rows), alone)))


def _least_cost(costs: Costs) -> list[int]:
    """The column of each row, all different, so that the sum is least.

    Shortest augmenting paths with potentials (the Hungarian method as of Jonker and Volgenant 1987, without their
    initial reductions), the inner loop over columns done by NumPy.

    Args:
        costs: finite, ``(n, m)`` with n <= m.
    """
    count, width = costs.shape
    row_potential, column_potential = np.zeros(count), np.zeros(width)
    row_of = np.full(width, -1)
    for start in range(count):
        row, column = start, -1
        nearest, came_from = np.full(width, np.inf), np.full(width, -1)
        reached = np.zeros(width, dtype=bool)
        while True:
            slack = costs[row] - row_potential[row] - column_potential
            better = ~reached & (slack < nearest)
            nearest[better], came_from[better] = slack[better], column
            column = int(np.argmin(np.where(reached, np.inf, nearest)))
            step = nearest[column]
            row_potential[start] += step
            row_potential[row_of[reached]] += step
            column_potential[reached] -= step
            nearest[~reached] -= step
            reached[column] = True
            if row_of[column] < 0:
                break
            row = int(row_of[column])
        _turn_over(row_of, came_from, column, start)
    columns = np.empty(count, dtype=int)
    taken = np.flatnonzero(row_of >= 0)
    columns[row_of[taken]] = taken
    return [int(column) for column in columns]


def _turn_over(row_of: NDArray[np.int64], came_from: NDArray[np.int64], column: int, start: int) -> None:
    """Give each column of the path that was found the row of the one before it, the first one ``start``."""
    while came_from[column] >= 0:
        row_of[column] = row_of[came_from[column]]
        column = int(came_from[column])
    row_of[column] = start
