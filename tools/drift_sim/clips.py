"""Real pictures made worse: how blur, dimming and noise show in what the agent measures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent.drift.sight import sight_of
from contracts.model_spec import InputSpec
from runtime.pictures import clip_frames
from runtime.results import Picture

_SIDE = 384  # pixels, as a model of this size sees them
_FRAMES = 4  # of each clip
_REACH = 3.0  # standard deviations of the blur's kernel
SIGMAS = (0.0, 0.5, 1.0, 2.0, 4.0)  # pixels
GAINS = (0.2,)
NOISE = (0.0, 3.0)  # grey levels


@dataclass(frozen=True)
class Worse:
    """A clip made worse in one way.

    Args:
        clip: its file's name.
        what: was done to it.
        brightness: mean over its frames.
        sharpness: mean over its frames.
        spread: standard deviation of the sharpness over its frames.
    """

    clip: str
    what: str
    brightness: float
    sharpness: float
    spread: float


def worse_clips(folder: Path) -> Iterator[Worse]:
    """Every clip of a folder, out of focus by some pixels, or dimmed and noisy."""
    dice = np.random.default_rng(0)
    for path in sorted(folder.glob("*.mp4")):
        frames = [frame.copy() for frame, _ in clip_frames(path, _FRAMES, InputSpec(width=_SIDE, height=_SIDE))]
        for sigma in SIGMAS:
            yield _measured(path, f"blur {sigma:g}", [blurred(frame, sigma) for frame in frames])
        for gain in GAINS:
            for noise in NOISE:
                dim = [_dimmed(frame, gain, noise, dice) for frame in frames]
                yield _measured(path, f"dimmed to {gain:.0%}, noise {noise:g}", dim)


def blurred(picture: Picture, sigma: float) -> Picture:
    """The picture out of focus: a Gaussian blur of some pixels, its edges continued."""
    if sigma == 0:
        return picture
    reach = int(_REACH * sigma + 1)
    offsets = np.arange(-reach, reach + 1)
    kernel = np.exp(-(offsets**2) / (2 * sigma**2))
    kernel /= kernel.sum()
    smooth = picture.astype(np.float64)
    for axis in (0, 1):
        padded = np.pad(smooth, [(reach, reach) if one == axis else (0, 0) for one in range(3)], mode="edge")
        size = picture.shape[axis]
        shifted = [weight * padded.take(range(n, n + size), axis) for n, weight in enumerate(kernel)]
        smooth = np.sum(shifted, axis=0)
    return smooth.round().clip(0, 255).astype(np.uint8)


def _dimmed(picture: Picture, gain: float, noise: float, dice: np.random.Generator) -> Picture:
    return (picture * gain + dice.normal(0, noise, picture.shape)).clip(0, 255).astype(np.uint8)


def _measured(path: Path, what: str, frames: list[Picture]) -> Worse:
    sights = [sight for sight in map(sight_of, frames) if sight is not None]
    sharp = [sight.sharpness for sight in sights]
    bright = float(np.mean([sight.brightness for sight in sights]))
    return Worse(path.name, what, bright, float(np.mean(sharp)), float(np.std(sharp)))
