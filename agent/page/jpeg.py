"""JPEG, by the encoder that comes with the decoder."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

_QUALITY = 4


def encode_jpeg(picture: NDArray[np.uint8], quality: int = _QUALITY, size: tuple[int, int] | None = None) -> bytes:
    """A picture as JPEG.

    Args:
        picture: uint8 ``(height, width, 3)`` BGR, contiguous.
        quality: on FFmpeg's scale, 1 (best) to 31.
        size: width and height that it is scaled to; as it is where None.
    """
    height, width = picture.shape[:2]
    width, height = size or (width, height)
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height = width, height
    encoder.pix_fmt = "yuvj420p"  # JPEG's own: all of 0 to 255
    encoder.time_base = Fraction(1, 1)
    encoder.thread_count = 1
    encoder.qmin = encoder.qmax = quality
    frame = av.VideoFrame.from_ndarray(picture, format="bgr24").reformat(width, height, format="yuvj420p")
    frame.pts = 0
    return b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None)))
