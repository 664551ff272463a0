"""Videos of which no two pictures are the same."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream


def write_video(path: Path, frames: int, dark: Collection[int] = ()) -> Path:
    """Noise at 96x64, bright but for some of its pictures."""
    random = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.bit_rate = 4_000_000  # less, and the encoder repeats pictures
        for number in range(frames):
            level = 30 if number in dark else 180
            picture = np.clip(random.normal(level, 10, (64, 96, 3)), 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
    return path
