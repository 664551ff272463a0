"""What a camera gives, and the port that every kind of source implements."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from agent.cameras.pacing import Gate, Pace
from contracts.model_spec import InputSpec
from runtime.prepare import Placement, place
from runtime.results import Picture


@dataclass(frozen=True)
class Frame:
    """One picture.

    Args:
        image: uint8 ``(placement.height, placement.width, 3)`` BGR, of the size that the model wants; its rows may be
            padded, so it need not be contiguous.
        placement: where it lies in the model's input.
        sequence: its number in the source, from 0, gaps where frames were left out.
        captured_at: seconds of ``time.monotonic`` at which it left the source.
        wall_time: seconds since 1970, UTC, at which it was taken, from the stream where it says so.
        shown_at: seconds by the source's own clock, for judging movement: a network's bursts and a file that is read
            faster than it plays do not touch it. Monotonic seconds of the opening plus the stream's time since then.
    """

    image: Picture
    placement: Placement
    sequence: int
    captured_at: float
    wall_time: float
    shown_at: float


@dataclass(frozen=True)
class Wanted:
    """What a source is asked for.

    Args:
        spec: the model's input; it decides the size of the pictures.
        pace: how many of them the box can bear.
        fps: tells how many a second are counted at most, None for all; asked for each frame. What the camera was opened
            with holds where this is left out.
    """

    spec: InputSpec
    pace: Pace = field(default_factory=Pace)
    fps: Callable[[], float | None] | None = None

    def gate(self, fps: float | None) -> Gate:
        """Decides which frames are taken.

        Args:
            fps: the limit that the camera was opened with.
        """
        return Gate(self.fps or (lambda: fps), self.pace)

    def placement(self, width: int, height: int) -> Placement:
        """Where a picture of the source's own ``width`` x ``height`` lies, and so which size to give."""
        return place(self.spec, width, height)


class Source(Protocol):
    """An open camera, used by one thread."""

    @property
    def dropped(self) -> Mapping[str, int]:
        """Frames left out since it was opened, by cause.

        ``rate``: above the camera's ``fps``; ``shed``: the box is hot; ``damaged``: could not be decoded; ``late``:
        real time went on without it.
        """

    def read(self) -> Frame | None:
        """The next frame, or None at the end of a source that has one, and where it was told to stop.

        Raises:
            CameraError: the source broke.
        """

    def close(self) -> None:
        """Let go of it; twice is harmless."""
