"""How bright and how sharp a picture is, in about a tenth of a millisecond."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from runtime.results import Picture

_ROWS = 48  # that are looked at; a road's detail is in all of them
_REACH = 4  # pixels across which a slope is measured: wider than what a lens out of focus smears
_FLAT = 1.0  # squared grey levels; below it there is no slope to compare with, and rounding would be judged


@dataclass(frozen=True)
class Sight:
    """What one picture is like.

    Args:
        brightness: mean grey level, 0 to 255.
        sharpness: fine detail over coarse, 0 for a smooth picture; noise has more than things have. It does not change
            with the light, nor with contrast.
    """

    brightness: float
    sharpness: float


def sight_of(picture: Picture) -> Sight | None:
    """Look at a picture's green, along some of its rows; None for one without any detail to judge.

    Args:
        picture: uint8 ``(height, width, 3)`` BGR.
    """
    if picture.shape[1] <= 2 * _REACH:
        return None
    rows = picture[:: max(1, picture.shape[0] // _ROWS), :, 1].astype(np.int16)
    bends = 2 * rows[:, 1:-1] - rows[:, :-2] - rows[:, 2:]  # the Laplacian along a row
    slopes = rows[:, _REACH:] - rows[:, :-_REACH]
    coarse = _mean_square(slopes)
    if coarse < _FLAT:
        return None
    return Sight(brightness=float(rows.mean()), sharpness=(_mean_square(bends) / coarse) ** 0.5)


def _mean_square(steps: np.ndarray[tuple[int, int], np.dtype[np.int16]]) -> float:
    """Not as a dot product: BLAS may wake its threads for it."""
    return float(np.square(steps, dtype=np.float32).mean())
