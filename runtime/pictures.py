"""Decoding and scaling of pictures, the same on host and device, so that calibration sees what the model will see.

FFmpeg's own log stays silent (PyAV's default): it would show a URL with its password. What went wrong is said by
the exceptions.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import cast

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from contracts.errors import DocumentError
from contracts.model_spec import InputSpec
from runtime.prepare import Placement, place
from runtime.results import Picture

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})

# 1920x1080 yuv420p to 384x384 bgr24, against the exact mean of the covered pixels (docs/adr/0002-pyav-decodes.md):
# AREA 1.6 ms and an error of 1.2 grey levels (RMS), BILINEAR 1.9 ms and 1.3, FAST_BILINEAR 1.2 ms and 4.9 (it
# aliases), BICUBIC 2.6 ms and 1.6. AREA enlarges as BILINEAR does.
_INTERPOLATION = Interpolation.AREA

_STRICT = {"err_detect": "explode"}  # a torn JPEG is otherwise filled up with grey, which would be counted as road

PlacementFor = Callable[[int, int], Placement]
"""From a picture's own width and height to where it lies in the model's input."""


class Scaler:
    """Brings decoded pictures to the model's size and to BGR in one pass of swscale.

    Not for use by two threads at once: it keeps swscale's context, which follows the source's size by itself.

    Args:
        placement_for: the size wanted for a source of a given size.
    """

    def __init__(self, placement_for: PlacementFor) -> None:
        self._placement_for = placement_for
        self._reformatter = VideoReformatter()
        self._source: tuple[int, int] | None = None
        self._placement: Placement | None = None

    def scale(self, picture: VideoFrame) -> tuple[Picture, Placement]:
        """The picture, uint8 ``(placement.height, placement.width, 3)`` BGR, and where it lies.

        The array is a view of swscale's output: its rows may be padded, so it need not be contiguous.

        Raises:
            av.FFmpegError: the pixel format cannot be converted.
        """
        placement = self._placement_of(picture.width, picture.height)
        # One thread: a pool a camera costs more CPU than it saves time (docs/adr/0002-pyav-decodes.md).
        scaled = self._reformatter.reformat(
            picture, placement.width, placement.height, format="bgr24", interpolation=_INTERPOLATION, threads=1
        )
        return cast("Picture", scaled.to_ndarray()), placement

    def _placement_of(self, width: int, height: int) -> Placement:
        if self._placement is None or self._source != (width, height):
            self._placement = self._placement_for(width, height)
            self._source = (width, height)
        return self._placement


def read_picture_scaled(path: str | os.PathLike[str], spec: InputSpec) -> tuple[Picture, Placement]:
    """A picture file in the size that the model wants, and where it lies in the input.

    Raises:
        DocumentError: it is not there, or no picture.
    """
    return read_picture_placed(path, partial(place, spec))


def read_picture_placed(path: str | os.PathLike[str], placement_for: PlacementFor) -> tuple[Picture, Placement]:
    """As `read_picture_scaled`, for a caller with a rule of its own for the size.

    Raises:
        DocumentError: it is not there, or no picture.
    """
    try:
        # As an open file, so that FFmpeg takes a name with '%d' or ':' for what it is: a name.
        with Path(path).open("rb") as file, av.open(file, "r") as container:
            container.streams.video[0].codec_context.options = _STRICT
            pictures = container.decode(video=0)
            picture = next(pictures, None)
            next(pictures, None)  # to the end: PyAV 18 leaks 0.3 kB where a decoder is left before it
            if picture is None or picture.is_corrupt:
                raise _not_a("picture", path, "its data are damaged")
            return Scaler(placement_for).scale(picture)
    except (OSError, av.FFmpegError, IndexError, ValueError) as error:
        raise _not_a("picture", path, _reason(error)) from None


def clip_frames(
    path: str | os.PathLike[str], count: int, spec: InputSpec | None = None
) -> Iterator[tuple[Picture, Placement]]:
    """Pictures spread evenly over a video, in its order: the same ones whenever it is asked.

    Args:
        path: a video file.
        count: how many, at least 1; fewer come where the video has fewer.
        spec: the model's input, which decides the size; the full size where None.

    Raises:
        DocumentError: it is not there, no video, or broken before the last picture wanted.
        ValueError: ``count`` is below 1.
    """
    if count < 1:
        raise ValueError(f"count should be at least 1, got {count}")
    scaler = Scaler(_full_size if spec is None else partial(place, spec))
    try:
        total = _count_frames(path)
        wanted = iter(sorted({(2 * i + 1) * total // (2 * count) for i in range(count)}))
        following = next(wanted, None)
        for index, picture in enumerate(_decode_file(path)):
            if index == following:
                yield scaler.scale(picture)
                following = next(wanted, None)
            if following is None:
                return
    except (OSError, av.FFmpegError, IndexError, ValueError) as error:
        raise _not_a("video", path, _reason(error)) from None


def _count_frames(path: str | os.PathLike[str]) -> int:
    """Frames in a video, by its packets: what a container says of itself is often missing or wrong."""
    with _open_file(path) as container:
        return sum(1 for packet in container.demux(video=0) if packet.size > 0)


def _decode_file(path: str | os.PathLike[str]) -> Iterator[VideoFrame]:
    with _open_file(path) as container:
        if getattr(container.streams.video[0], "codec_context", None) is None:  # PyAV 17 crashes on it
            raise ValueError("a codec that this build of FFmpeg does not know")
        yield from container.decode(video=0)


def _open_file(path: str | os.PathLike[str]) -> InputContainer:
    return av.open(f"file:{os.fspath(path)}", "r")


def _full_size(width: int, height: int) -> Placement:
    return Placement(0, 0, width, height, width, height)


def _not_a(what: str, path: str | os.PathLike[str], reason: str) -> DocumentError:
    return DocumentError(os.fspath(path), [f"expected a {what} that can be decoded, but {reason}; take it out"])


def _reason(error: Exception) -> str:
    """What went wrong, without the path, which the sentence begins with."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, IndexError):
        return "there is none in it"
    said = error.strerror if isinstance(error, (OSError, av.FFmpegError)) else str(error)
    return f"it gave: {said}"
