"""A folder of pictures as a camera."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import Counter
from pathlib import Path

from agent.cameras.frame import Frame, Wanted
from agent.cameras.pacing import Pacer
from contracts.config import CameraConfig
from contracts.errors import CameraError, DocumentError
from runtime.pictures import PICTURE_SUFFIXES, read_picture_placed

_RATE = 1.0  # pictures a second in real time, where the camera's `fps` does not say

_log = logging.getLogger(__name__)


class PictureFolder:
    """Its pictures in the order of their names, at the camera's ``fps``.

    Args:
        camera: what the user wants of it; its source is the folder.
        wanted: the model's input.
        stop: ends a wait between two pictures.
        pacer: holds them back where the folder plays in real time.

    Raises:
        CameraError: there is no picture in it.
    """

    def __init__(self, camera: CameraConfig, wanted: Wanted, stop: threading.Event, pacer: Pacer | None = None) -> None:
        self.dropped: Counter[str] = Counter()
        self._camera = camera
        self._wanted = wanted
        self._stop = stop
        self._pacer = (pacer or Pacer(stop)) if camera.realtime else None
        self._paths = _pictures_in(camera)
        self._sequence = 0
        self._opened_at = time.monotonic()
        if not self._paths:
            kinds = ", ".join(sorted(PICTURE_SUFFIXES))
            raise CameraError(camera.id, f"{camera.source}: the folder holds no picture ({kinds})", "check the path")

    def read(self) -> Frame | None:
        """The next picture, or None after the last one, and where it was told to stop.

        Raises:
            CameraError: none of the pictures can be read.
        """
        while not self._stop.is_set():
            round_, place = divmod(self._sequence, len(self._paths))
            if round_ and place == 0 and not self._goes_on():
                return None
            sequence, self._sequence = self._sequence, self._sequence + 1
            frame = self._frame(self._paths[place], sequence)
            if frame is not None:
                return frame
        return None

    def close(self) -> None:
        """Nothing is held open."""

    def _goes_on(self) -> bool:
        """After the last picture: whether to begin again."""
        if self.dropped["damaged"] >= self._sequence:
            raise CameraError(self._camera.id, f"{self._camera.source}: no picture can be read", "replace them")
        return self._camera.loop

    def _frame(self, path: Path, sequence: int) -> Frame | None:
        if self._pacer is not None and not self._pacer.hold(sequence / (self._camera.fps or _RATE)):
            return None
        captured_at, wall_time = time.monotonic(), time.time()
        try:
            image, placement = read_picture_placed(path, self._wanted.placement)
        except DocumentError as error:
            self.dropped["damaged"] += 1
            _log.warning("camera %s: left out: %s", self._camera.id, error)
            return None
        shown_at = self._opened_at + sequence / (self._camera.fps or _RATE)
        return Frame(image, placement, sequence, captured_at, wall_time, shown_at)


def _pictures_in(camera: CameraConfig) -> list[Path]:
    """The pictures of the camera's folder, 9 before 10."""
    try:
        paths = list(Path(camera.source).iterdir())
    except OSError as error:
        raise CameraError(camera.id, f"{camera.source}: {error.strerror}", "check the path and its rights") from None
    return sorted((path for path in paths if path.suffix.lower() in PICTURE_SUFFIXES), key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key: runs of digits by their number, everything else by its text."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", path.name.lower())]
