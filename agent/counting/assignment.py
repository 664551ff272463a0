"""Which row goes with which column: the assignment of least total cost, rows and columns may stay alone."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Costs = NDArray[np.float64]

_FORBIDDEN = 1e9  # stands for infinity, whose differences are not numbers


def assign(costs: Costs, alone: float) -> list[tuple[int, int]]:
    """Pair rows with columns so that the pairs' costs plus ``alone`` for each row left alone are least.

    Args:
        costs: float64 ``(n, m)``; infinite where a pair is not allowed.
        alone: what it costs to leave a row without a column.

    Returns:
        Pairs (row, column), in order of rows.
    """
    pairs: list[tuple[int, int]] = []
    allowed = costs < alone
    in_row, in_column = allowed.sum(axis=1).tolist(), allowed.sum(axis=0).tolist()
    rows: dict[int, None] = {}
    columns: dict[int, None] = {}
    for row, column in np.argwhere(allowed).tolist():
        if in_row[row] == in_column[column] == 1:  # neither has a choice: so it is for nearly all, in most frames
            pairs.append((row, column))
        else:
            rows[row] = columns[column] = None
    if rows:
        pairs += _choose(np.where(allowed, costs, np.inf), list(rows), list(columns), alone)
    return sorted(pairs)


def _choose(costs: Costs, rows: list[int], columns: list[int], alone: float) -> list[tuple[int, int]]:
    """Pair those that have a choice: a column more for each row stands for staying alone."""
    table = [
        [value if value < math.inf else _FORBIDDEN for value in line] + [alone] * len(rows)
        for line in costs[np.ix_(rows, columns)].tolist()
    ]
    chosen = zip(rows, _least_cost(table), strict=True)
    return [(row, columns[column]) for row, column in chosen if column < len(columns)]


def _least_cost(costs: list[list[float]]) -> list[int]:
    """The column of each row, all different, so that the sum is least.

    Shortest augmenting paths with potentials (the Hungarian method as of Jonker and Volgenant 1987, without their
    initial reductions). In plain Python: tables are small here, and NumPy's calls would cost more than they save.

    Args:
        costs: ``(n, m)`` with n <= m, finite.
    """
    width = len(costs[0])
    row_potential, column_potential = [0.0] * len(costs), [0.0] * width
    row_of = [-1] * width
    for start in range(len(costs)):
        row, column = start, -1
        nearest, came_from = [math.inf] * width, [-1] * width
        waiting, reached = list(range(width)), list[int]()
        while True:
            line, base = costs[row], row_potential[row]
            for other in waiting:
                slack = line[other] - base - column_potential[other]
                if slack < nearest[other]:
                    nearest[other], came_from[other] = slack, column
            column = min(waiting, key=nearest.__getitem__)
            step = nearest[column]
            row_potential[start] += step
            for other in reached:
                row_potential[row_of[other]] += step
                column_potential[other] -= step
            for other in waiting:
                nearest[other] -= step
            if row_of[column] < 0:
                break
            waiting.remove(column)
            reached.append(column)
            row = row_of[column]
        _turn_over(row_of, came_from, column, start)
    column_of = {row: column for column, row in enumerate(row_of)}
    return [column_of[row] for row in range(len(costs))]


def _turn_over(row_of: list[int], came_from: list[int], column: int, start: int) -> None:
    """Give each column of the path that was found the row of the one before it, the first one ``start``."""
    while came_from[column] >= 0:
        row_of[column] = row_of[came_from[column]]
        column = came_from[column]
    row_of[column] = start
