"""Where a camera's newest frame waits to be counted."""

from __future__ import annotations

import threading
from collections.abc import Callable

from agent.cameras.frame import Frame


class FrameSlot:
    """Holds one frame: a newer one replaces it (live), or waits until it was taken (nothing may be missed).

    A queue would only add age to the frames of a box that cannot keep up; here the newest is counted, and each one
    that was replaced is reported as dropped.

    Args:
        keep_all: `put` waits until the frame before was taken, instead of replacing it.
        on_ready: called after each frame was put, from the thread that put it.
    """

    def __init__(self, keep_all: bool, on_ready: Callable[[], None]) -> None:  # noqa: FBT001 - the slot's one choice
        self._keep_all = keep_all
        self._on_ready = on_ready
        self._frame: Frame | None = None
        self._dropped = 0
        self._closed = False
        self._changed = threading.Condition()

    @property
    def dropped(self) -> int:
        """Frames that a newer one replaced (cause ``late``)."""
        with self._changed:
            return self._dropped

    @property
    def empty(self) -> bool:
        """Whether no frame waits."""
        with self._changed:
            return self._frame is None

    def put(self, frame: Frame) -> bool:
        """Put a frame in; false where the slot is closed, and the frame is left out."""
        with self._changed:
            if self._keep_all:
                self._changed.wait_for(lambda: self._frame is None or self._closed)
            if self._closed:
                return False
            if self._frame is not None:
                self._dropped += 1
            self._frame = frame
        self._on_ready()
        return True

    def take(self) -> Frame | None:
        """The frame that waits, or None; never blocks."""
        with self._changed:
            frame, self._frame = self._frame, None
            self._changed.notify_all()
            return frame

    def close(self) -> None:
        """Take no more frames and release who waits to put one; a frame that waits may still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
