"""Pictures out of a video: spread over its time, and over how bright they are."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from contracts.model_spec import InputSpec
from converters.pictures.item import Item, spread
from runtime.pictures import clip_frames
from runtime.prepare import Placement
from runtime.results import Picture

_CANDIDATES = 3  # times as many are decoded as are taken, so that dark and bright ones can be chosen


def clip_items(clip: Path, count: int, spec: InputSpec, *, part: tuple[float, float] = (0.0, 1.0)) -> list[Item]:
    """Frames of a video, in its order.

    Args:
        clip: a video file.
        count: how many; fewer come where the video has fewer.
        spec: the model's input, in whose size they are decoded at once.
        part: which part of its time they are taken from, from 0 to 1.

    Raises:
        DocumentError: it is no video, or broken.
    """
    total = max(1, round(count * _CANDIDATES / (part[1] - part[0])))
    # Read twice, so that only those that are taken are held in memory: the candidates would be gigabytes.
    brightness = [float(picture.mean()) for picture, _ in clip_frames(clip, total, spec)]
    first, last = int(len(brightness) * part[0]), int(len(brightness) * part[1])
    chosen = {first + number for number in _spread_over_brightness(brightness[first:last], count)}
    whole = part == (0.0, 1.0)
    name = clip.name if whole else f"{clip.name} {part[0]:.0%} to {part[1]:.0%}"
    frames = enumerate(clip_frames(clip, total, spec))
    return [_item(name, number, *frame) for number, frame in frames if number in chosen]


def _spread_over_brightness(brightness: list[float], count: int) -> list[int]:
    """Which to take: of as many groups of equal brightness as there are parts of time, the middle ones."""
    if len(brightness) <= count:
        return list(range(len(brightness)))
    groups = max(1, round(count**0.5))
    by_brightness = np.argsort(brightness, kind="stable")
    chosen: list[int] = []
    for number, group in enumerate(np.array_split(by_brightness, groups)):
        share = count // groups + (number < count % groups)
        in_time = np.sort(group)
        chosen += [int(in_time[index]) for index in spread(len(in_time), share)] if share else []
    return sorted(chosen)


def _item(clip: str, number: int, picture: Picture, placement: Placement) -> Item:
    kept = np.array(picture, order="C")  # swscale's rows may be padded
    digest = hashlib.sha256(kept.tobytes()).hexdigest()
    return Item(f"{clip}, picture {number}", digest, lambda _spec: (kept, placement), clip)
