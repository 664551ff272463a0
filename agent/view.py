"""Whether a picture shows anything: a black, white or covered view is not counted, for a model would guess."""

from __future__ import annotations

import numpy as np

from runtime.results import Picture

_STEP = 8  # every 8th pixel of every 8th row: 2,304 of a 384 x 384 picture
_LEAST_SPREAD = 4.0  # grey levels between the 2nd and 98th percentile; sensor noise of a covered lens stays below
_SPREAD_OF = (2.0, 98.0)


def is_obscured(picture: Picture) -> bool:
    """Whether nearly all of the picture has one brightness.

    Args:
        picture: uint8 ``(height, width, 3)`` BGR.
    """
    brightness = picture[::_STEP, ::_STEP].max(axis=2)
    low, high = np.percentile(brightness, _SPREAD_OF)
    return bool(high - low < _LEAST_SPREAD)
