"""Whether a picture shows a view that changes: a black, white, covered or frozen one is not counted.

A model would guess about the first three, and count the same vehicles for ever in the last. Figures: docs/cameras.md.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt

from contracts.messages import Quality
from runtime.results import Picture

ViewFault = Literal["black", "white", "covered", "frozen"]
"""What is wrong with a view; frames are left out under this name."""

QUALITY_OF: Mapping[ViewFault, Quality] = MappingProxyType(
    {"black": "obscured", "white": "obscured", "covered": "obscured", "frozen": "stale"}
)
"""What a count report calls it."""

# Detail is the 98th percentile of the steps between neighbouring blocks' mean brightness. The least in 53 pictures of
# 11 road cameras was 38, in 24 frames of 4 clips 10, on a synthetic road at night 22; a covered lens had 0 to 1.8 with
# noise of up to 2 grey levels and a smooth gradient of up to 50.
_LEAST_DETAIL = 2.0
_DETAIL_OF = 98.0
_BLOCKS = 24  # along each side
_BLOCK = 8  # pixels of a block that are looked at, along each side
_BLACK, _WHITE = 32.0, 224.0  # mean grey level; black is 16 in the limited range of video

# A picture that froze before the encoder does not come out of it the same: a key frame differs from those between two,
# by more than 1 level at up to 5 % of the pixels. But each group repeats the one before, so that a frame is the same as
# one of a few earlier ones (at 0.1 %), where with sensor noise of 1 level it differs from all (at 2 % or more).
_REMEMBERED = 4
_SAME_LEVELS = 1
_MOST_CHANGED = 0.008
_LARGEST_CHANGE = 8  # grey levels; whatever moves is beyond it
_SAMPLES = 96  # along each side
_ROUNDING = 1e-6  # seconds
_LEAST_LOOKS = 10  # frames; a camera that gives one a minute is not frozen after two


class ViewWatch:
    """Looks at the frames of one camera, one after the other.

    Args:
        frozen_after: seconds of one same picture after which the camera is called frozen; 0 for never.

    Attributes:
        frozen_after: the same; may be changed between two frames.
    """

    def __init__(self, frozen_after: float) -> None:
        self.frozen_after = frozen_after
        self._seen: deque[npt.NDArray[np.int16]] = deque(maxlen=_REMEMBERED)
        self._since = 0.0
        self._looks = 0

    def look(self, picture: Picture, at: float) -> ViewFault | None:
        """What is wrong with this frame.

        Args:
            picture: uint8 ``(height, width, 3)`` BGR.
            at: seconds of the source's own clock (`Frame.shown_at`).
        """
        frozen = self.frozen_after > 0 and self._is_frozen(picture, at)
        return obscured_by(picture) or ("frozen" if frozen else None)

    def _is_frozen(self, picture: Picture, at: float) -> bool:
        samples = _samples(picture)
        if not any(_is_same(samples, seen) for seen in reversed(self._seen)):
            self._seen.append(samples)
            self._since, self._looks = at, 0
        self._looks += 1
        return self._looks >= _LEAST_LOOKS and at - self._since >= self.frozen_after - _ROUNDING


def obscured_by(picture: Picture) -> Literal["black", "white", "covered"] | None:
    """Why nothing can be seen, None where something can.

    Args:
        picture: uint8 ``(height, width, 3)`` BGR.
    """
    means = _block_means(picture)
    steps = np.concatenate([np.abs(np.diff(means, axis=axis)).ravel() for axis in (0, 1)])
    place = int(steps.size * _DETAIL_OF / 100)
    if np.partition(steps, place)[place] >= _LEAST_DETAIL:
        return None
    mean = float(means.mean())
    return "black" if mean < _BLACK else "white" if mean > _WHITE else "covered"


def _block_means(picture: Picture) -> npt.NDArray[np.float32]:
    """Mean green of every block: noise goes, what a lens sees stays. Of every n-th pixel where there are many.

    Not as a product of matrices: BLAS wakes its threads for it, 4 ms of CPU where this takes 0.1.
    """
    step = max(1, min(picture.shape[:2]) // (_BLOCKS * _BLOCK))
    return _means(_means(picture[::step, ::step, 1]).T).T


def _means(values: npt.NDArray[np.uint8] | npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Means over equal runs of rows; what is left over at the end stays out."""
    length, width = values.shape
    size = max(length // _BLOCKS, min(_BLOCK, max(1, length // 2)))
    count = length // size
    runs = np.ascontiguousarray(values[: count * size]).reshape(count, size, width)
    means: npt.NDArray[np.float32] = runs.mean(axis=1, dtype=np.float32)
    return means


def _samples(picture: Picture) -> npt.NDArray[np.int16]:
    """Single pixels, not means, in which sensor noise would vanish."""
    step = max(1, min(picture.shape[:2]) // _SAMPLES)
    return picture[::step, ::step, 1].astype(np.int16)


def _is_same(samples: npt.NDArray[np.int16], reference: npt.NDArray[np.int16]) -> bool:
    if samples.shape != reference.shape:
        return False
    change = np.abs(samples - reference)
    return (
        int(change.max()) <= _LARGEST_CHANGE and np.count_nonzero(change > _SAME_LEVELS) <= _MOST_CHANGED * change.size
    )
