"""Small clips and pictures, made on the spot, and frames to put into a slot."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from agent.cameras.frame import Frame, Wanted
from contracts.model_spec import InputSpec
from runtime.prepare import Placement
from runtime.results import Picture

STRETCHED = Wanted(InputSpec(width=64, height=64))
LETTERBOXED = Wanted(InputSpec(width=64, height=64, resize="letterbox"))
LEFT, RIGHT = (40, 60, 200), (210, 120, 30)
"""BGR of the two halves of a clip's pictures."""


def halves(width: int, height: int) -> Picture:
    """A picture whose halves differ, so that left, right and the colours' order can be told apart."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[:, : width // 2], picture[:, width // 2 :] = LEFT, RIGHT
    return picture


def write_clip(
    path: Path, *, frames: int = 10, width: int = 128, height: int = 72, fps: int = 25, codec: str = "mpeg4"
) -> Path:
    """A clip of ``frames`` pictures, two to a group, the same picture in all."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.gop_size, stream.codec_context.max_b_frames = 2, 0
        stream.codec_context.bit_rate = 4_000_000
        for number in range(frames):
            picture = av.VideoFrame.from_ndarray(halves(width, height), "bgr24").reformat(format="yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


_CODECS = {".jpg": ("mjpeg", "yuvj444p"), ".png": ("png", "rgb24"), ".bmp": ("bmp", "bgr24")}


def write_picture(path: Path, picture: Picture | None = None) -> Path:
    """A picture file of the kind that its name says."""
    codec, pixel_format = _CODECS[path.suffix.lower()]
    frame = av.VideoFrame.from_ndarray(halves(128, 72) if picture is None else picture, "bgr24")
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, pixel_format
    encoder.time_base = Fraction(1, 25)
    frame = frame.reformat(format=pixel_format)
    frame.pts = 0
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    path.write_bytes(b"".join(bytes(packet) for packet in packets))
    return path


def close_to(pixel: Sequence[int], color: Sequence[int], by: int = 8) -> bool:
    """Whether a pixel has a colour, up to what encoding changes."""
    return all(abs(int(a) - int(b)) <= by for a, b in zip(pixel, color, strict=True))


def frame(sequence: int) -> Frame:
    """A frame of one pixel."""
    return Frame(np.zeros((1, 1, 3), np.uint8), Placement(0, 0, 1, 1, 1, 1), sequence, float(sequence), 0.0, 0.0)
