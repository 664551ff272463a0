"""The pictures that the model is tried on: from a folder or a clip, or else from the synthetic road."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contracts.errors import DocumentError
from contracts.model_spec import InputSpec
from runtime.pictures import PICTURE_SUFFIXES, clip_frames, read_picture_scaled
from runtime.prepare import Placement, Preparer, place
from runtime.results import Picture
from runtime.synthetic.settings import MIN_SIDE
from runtime.synthetic_road import RoadSettings, SyntheticRoad

FRAMES = 16  # tried by default
MIN_FRAMES = 8  # fewer tell little about an artifact
_EVERY = 97  # frames of the road between two pictures, 3.2 s: other vehicles, and no divisor of its 30 fps
_ROAD_SHAPE = (1920, 1080)  # pixels; what the road would be seen with


@dataclass(frozen=True)
class Frames:
    """Pictures in the network's input.

    Args:
        tensors: uint8 ``(1, height, width, 3)`` BGR each.
        origin: where they came from, for a person.
    """

    tensors: tuple[NDArray[np.uint8], ...]
    origin: str

    @property
    def sha256(self) -> str:
        """SHA-256 over their bytes in order."""
        digest = hashlib.sha256()
        for tensor in self.tensors:
            digest.update(tensor.tobytes())
        return digest.hexdigest()


def take_frames(spec: InputSpec, source: Path | None, count: int = FRAMES) -> Frames:
    """Frames spread evenly over a source.

    Args:
        spec: the model's input.
        source: a labelled folder (pictures in ``images/``), a folder of pictures, or a clip; None for the road.
        count: how many, at least 1; fewer come where the source has fewer, but never below `MIN_FRAMES`.

    Raises:
        DocumentError: the source does not exist, holds too few pictures, or one that cannot be decoded.
    """
    if source is None:
        return _from_road(spec, count)
    if source.is_dir():
        return _from_folder(spec, source, count)
    placed = list(clip_frames(source, count, spec))
    _check_enough(source, len(placed), "frames")
    return Frames(_in_input(spec, placed), f"clip {source.name}, {len(placed)} frames")


def _from_folder(spec: InputSpec, folder: Path, count: int) -> Frames:
    images = folder / "images"
    pictures = sorted(_pictures_in(images if images.is_dir() else folder))
    _check_enough(folder, len(pictures), "pictures (" + ", ".join(sorted(PICTURE_SUFFIXES)) + ")")
    chosen = [pictures[index] for index in spread(len(pictures), count)]
    placed = [read_picture_scaled(picture, spec) for picture in chosen]
    return Frames(_in_input(spec, placed), f"folder {folder.name}, {len(chosen)} of {len(pictures)} pictures")


def _pictures_in(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file()]


def _check_enough(source: Path, found: int, what: str) -> None:
    if found < MIN_FRAMES:
        raise DocumentError(
            "--calibration",
            [f"expected at least {MIN_FRAMES} {what}, {source} holds {found}; add some, or leave it out"],
        )


def spread(total: int, count: int) -> list[int]:
    """``count`` indices at the middles of equal parts of ``total``; all of them where there are fewer."""
    return sorted({(2 * part + 1) * total // (2 * count) for part in range(count)})


def _from_road(spec: InputSpec, count: int) -> Frames:
    placement = place(spec, *_ROAD_SHAPE)
    settings = RoadSettings(width=max(MIN_SIDE, placement.width), height=max(MIN_SIDE, placement.height))
    road = SyntheticRoad(settings)
    pictures = (road.frame(index * _EVERY)[: placement.height, : placement.width] for index in range(count))
    tensors = _in_input(spec, [(picture, placement) for picture in pictures])
    return Frames(tensors, f"synthetic road, seed {settings.seed}, {count} frames")


def _in_input(spec: InputSpec, placed: Sequence[tuple[Picture, Placement]]) -> tuple[NDArray[np.uint8], ...]:
    preparer = Preparer(spec)
    # Copied and contiguous: the preparer reuses its buffer, and swscale's rows may be padded.
    return tuple(np.array(preparer.prepare(picture, placement), order="C") for picture, placement in placed)
