"""Pictures for who looks: made only when asked for, one at a time, and only so many a second."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass

from agent.limited_log import LimitedLog
from agent.page.draw import draw
from agent.page.jpeg import encode_jpeg
from agent.page.ports import Ports

_log = LimitedLog(logging.getLogger(__name__), seconds=60.0)


@dataclass(frozen=True)
class Shot:
    """A picture that was made.

    Args:
        jpeg: the picture.
        sequence: the frame's number.
        taken_at: seconds since 1970.
        aspect: width over height as the camera sees it.
        drawn: how many boxes of each label are in it.
        made_at: monotonic seconds.
    """

    jpeg: bytes
    sequence: int
    taken_at: float
    aspect: float
    drawn: Mapping[str, int]
    made_at: float


class Studio:
    """Makes pictures. Who asks for one that is new enough gets the same as the one before; the others queue.

    Args:
        ports: where looks come from, and what of them may be shown.
        worker: draws and encodes.
        seconds: between two pictures, of whatever cameras.
    """

    def __init__(self, ports: Ports, worker: Executor, seconds: float) -> None:
        self._ports = ports
        self._worker = worker
        self._seconds = seconds
        self._turn = asyncio.Lock()
        self._next = 0.0
        self._shots: dict[str, Shot] = {}

    async def shot(self, camera: str) -> Shot | None:
        """A picture of a camera that the agent knows, of about now; None where there is none to show."""
        async with self._turn:
            before = self._shots.get(camera)
            if before is not None and time.monotonic() - before.made_at < self._seconds:
                return before
            await asyncio.sleep(max(0.0, self._next - time.monotonic()))
            made = await asyncio.get_running_loop().run_in_executor(self._worker, self._make, camera, before)
            self._next = time.monotonic() + self._seconds
            if made is None:
                self._shots.pop(camera, None)
            else:
                self._shots[camera] = made
            return made

    def _make(self, camera: str, before: Shot | None) -> Shot | None:
        try:
            look = self._ports.snapshots.picture(camera)
            if look is None:
                return None
            if before is not None and (before.sequence, before.taken_at) == (look.sequence, look.taken_at):
                return before
            picture, drawn = draw(look, self._ports.redact(look))
            jpeg = encode_jpeg(picture)
        except Exception:  # noqa: BLE001 - a picture is a courtesy; where hiding fails nothing may be shown
            _log.exception("no picture of camera %s could be made", camera)
            return None
        return Shot(jpeg, look.sequence, look.taken_at, look.aspect, drawn, time.monotonic())
