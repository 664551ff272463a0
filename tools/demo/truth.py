"""The true counts of the synthetic road; other sources have none."""

from __future__ import annotations

from collections.abc import Callable

from agent.cameras.synthetic import parse_synthetic
from runtime.synthetic_road import SyntheticRoad

Truth = Callable[[int], int]
"""Frame number to the true count."""


def truth_of(source: str) -> Truth | None:
    """The truth of a source, or None where nobody knows it."""
    if source.partition(":")[0] != "synthetic":
        return None
    return SyntheticRoad(parse_synthetic(source).road).count
