"""A camera that breaks every few seconds, in the way of one whose cable is loose."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from agent.cameras.frame import Frame, Wanted
from contracts.errors import CameraError
from tests.integration.squares import FPS, PLACES, picture

_PICTURES = [picture(place) for place in PLACES]


class LooseCamera:
    """Gives so many pictures, at a rate, and breaks.

    Args:
        camera: its id.
        wanted: the model's input.
        stop: ends a wait.
        pictures: after which it breaks.
        rate: pictures a second.
    """

    def __init__(self, camera: str, wanted: Wanted, stop: threading.Event, pictures: int, rate: float) -> None:
        self._camera = camera
        self._placement = wanted.placement(*_PICTURES[0].shape[1::-1])
        self._stop = stop
        self._left = pictures
        self._period = 1 / rate
        self._opened_at = time.monotonic()
        self._next = 0

    def read(self) -> Frame | None:
        """The next picture.

        Raises:
            CameraError: it broke.
        """
        if self._next >= self._left:
            raise CameraError(self._camera, "it is pulled out, as planned", "nothing")
        if self._stop.wait(self._period):
            return None
        number, self._next = self._next, self._next + 1
        image, shown_at = _PICTURES[number % len(_PICTURES)], self._opened_at + number / FPS
        return Frame(image, self._placement, number, time.monotonic(), time.time(), shown_at)

    def close(self) -> None:
        """Nothing is held open."""

    @property
    def dropped(self) -> Mapping[str, int]:
        """None."""
        return {}
