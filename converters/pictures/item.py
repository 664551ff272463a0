"""One picture before it is decoded: what it is called, what it is a copy of, and how many things are on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from contracts.model_spec import InputSpec
from runtime.prepare import Placement
from runtime.results import Picture

Load = Callable[[InputSpec], tuple[Picture, Placement]]
"""Decodes it in the size that the model wants.

Raises:
    DocumentError: it is damaged.
"""


@dataclass(frozen=True)
class Item:
    """A picture that may be taken.

    Args:
        name: for a person: its file, or its clip and frame.
        digest: SHA-256 of what it is decoded from: two with the same digest are the same picture.
        load: decodes it.
        clip: the clip that it comes from, where that is known; neighbouring frames of one clip are nearly equal.
        count: how many things are on it, where that is known.
        calibration_only: whether its count is known to be incomplete.
    """

    name: str
    digest: str
    load: Load
    clip: str | None = None
    count: float | None = None
    calibration_only: bool = False


def spread(total: int, count: int) -> list[int]:
    """``count`` indices at the middles of equal parts of ``total``; all of them where there are fewer."""
    return sorted({(2 * part + 1) * total // (2 * count) for part in range(count)})
