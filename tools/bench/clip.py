"""The 1080p clip that is counted: the synthetic road, H.264, made once."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
from rich.progress import track

from runtime.synthetic_road import RoadSettings, SyntheticRoad

WIDTH, HEIGHT, RATE = 1920, 1080, 30


def road_clip(folder: Path, frames: int) -> Path:
    """A clip of the synthetic road.

    Args:
        folder: where it is kept.
        frames: how many, at 30 a second.
    """
    path = folder / f"road-{WIDTH}x{HEIGHT}-{frames}.mp4"
    if not path.is_file():
        unfinished = path.with_suffix(".part.mp4")
        _encode(unfinished, frames)
        unfinished.replace(path)
    return path


def _encode(path: Path, frames: int) -> None:
    road = SyntheticRoad(RoadSettings(width=WIDTH, height=HEIGHT, fps=RATE, seed=1))
    with av.open(str(path), "w") as container:
        # What an IP camera sends: main profile, no B-frames, a key frame every two seconds, some 4 Mbit/s.
        options = {"preset": "veryfast", "profile": "main", "tune": "zerolatency", "g": str(2 * RATE)}
        stream = container.add_stream("libx264", rate=Fraction(RATE), options=options)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = WIDTH, HEIGHT, "yuv420p", 4_000_000
        for index in track(range(frames), description="making the clip", transient=True):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(road.frame(index), format="bgr24")))
        container.mux(stream.encode(None))
