"""``snapshot``: a camera's last picture, with what may not leave made unrecognisable, small enough for a message."""

from __future__ import annotations

import base64
import logging

import numpy as np
from numpy.typing import NDArray

from agent.counting.clock import utc_text
from agent.limited_log import LimitedLog
from agent.page.draw import draw
from agent.page.jpeg import encode_jpeg
from agent.rpc.ports import Agent
from agent.rpc.refusals import RpcRefusedError
from contracts.rpc import LARGEST_PICTURE, RpcRequest, Snapshot, SnapshotRequest

_log = LimitedLog(logging.getLogger(__name__), seconds=60.0)

_QUALITIES = (4, 8, 16, 31)  # FFmpeg's scale, best first
_LEAST_SIDE = 2  # pixels; JPEG's colours are halved


def take_snapshot(request: RpcRequest, agent: Agent) -> Snapshot:
    """Carry it out.

    Args:
        request: a `SnapshotRequest`.
        agent: whose cameras.

    Raises:
        RpcRefusedError: there is no picture, or what may not leave could not be hidden.
    """
    assert isinstance(request, SnapshotRequest)
    look = agent.snapshots.picture(request.camera)
    if look is None:
        raise RpcRefusedError(
            "no_picture", f"there is no camera {request.camera!r}, or no frame of it was counted yet; look at its state"
        )
    try:
        picture = np.ascontiguousarray(agent.redact(look))
    except Exception:  # noqa: BLE001 - where hiding fails nothing may leave
        _log.exception("a picture of camera %s is not sent", request.camera)
        raise RpcRefusedError(
            "failed", "what may not be seen could not be hidden, so no picture leaves; see the log"
        ) from None
    drawn: dict[str, int] = {}
    if request.boxes:
        picture, counted = draw(look, picture)
        drawn = dict(counted)
    height = picture.shape[0]
    jpeg, (width, height) = small_jpeg(picture, (max(1, round(height * look.aspect)), height), LARGEST_PICTURE)
    return Snapshot(
        camera=request.camera,
        frame=look.sequence,
        taken_at=utc_text(look.taken_at),
        width=width,
        height=height,
        jpeg=base64.b64encode(jpeg).decode(),
        drawn=drawn,
    )


def small_jpeg(picture: NDArray[np.uint8], size: tuple[int, int], most: int) -> tuple[bytes, tuple[int, int]]:
    """The best JPEG of a picture that has at most ``most`` bytes.

    Args:
        picture: uint8 ``(h, w, 3)`` BGR, contiguous.
        size: width and height wanted; halved as often as it takes.
        most: bytes.

    Returns:
        The JPEG, and its width and height.

    Raises:
        RpcRefusedError: no JPEG is that small.
    """
    width, height = size
    while min(width, height) >= _LEAST_SIDE:
        for quality in _QUALITIES:
            jpeg = encode_jpeg(picture, quality, (width, height))
            if len(jpeg) <= most:
                return jpeg, (width, height)
        width, height = width // 2, height // 2
    raise RpcRefusedError("failed", f"the picture cannot be made smaller than {most} bytes")
