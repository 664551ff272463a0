"""Faults of a camera, played by a synthetic one, so that every alarm can be tried out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from contracts.errors import DocumentError, UnknownNameError
from runtime.results import Picture

FAULTS = ("black", "white", "covered", "frozen", "stalled", "lost")
"""``stalled``: no frames come; ``lost``: the source breaks; the others change what is seen."""

_ROUNDING = 1e-6  # seconds; a frame's time is no round number
KEYS = ("fault", "fault_from", "fault_for")

_COVERED_LEVELS = (40, 60)  # of grey, from one corner to the other: light that comes through fingers
_COVERED_NOISE = 2


@dataclass(frozen=True)
class PlayedFault:
    """A fault and when it is played.

    Args:
        kind: one of `FAULTS`; None plays none.
        begins: seconds after the first frame.
        lasts: seconds.
    """

    kind: str | None = None
    begins: float = 0.0
    lasts: float = math.inf

    def at(self, seconds: float) -> str | None:
        """The fault that is played at so many seconds after the first frame."""
        since = seconds - self.begins + _ROUNDING
        return self.kind if 0 <= since < self.lasts else None


def parse_fault(source: str, settings: dict[str, str]) -> PlayedFault:
    """Read ``fault=KIND,fault_from=SECONDS,fault_for=SECONDS``.

    Raises:
        UnknownNameError: there is no such fault.
        DocumentError: a time cannot be used, or there is one without a fault.
    """
    kind = settings.get("fault")
    if kind is None:
        if settings:
            raise DocumentError(source, [f"{', '.join(settings)}: expected 'fault' too, one of {', '.join(FAULTS)}"])
        return PlayedFault()
    if kind not in FAULTS:
        raise UnknownNameError("fault of a synthetic source", kind, FAULTS)
    begins = _seconds(source, "fault_from", settings.get("fault_from", "0"))
    lasts = _seconds(source, "fault_for", settings["fault_for"]) if "fault_for" in settings else math.inf
    return PlayedFault(kind, begins, lasts)


def seen(fault: str | None, picture: Picture, frozen: Picture, sequence: int) -> Picture:
    """What the camera gives of a picture.

    Args:
        fault: which one is played now.
        picture: what would be seen, uint8 ``(height, width, 3)`` BGR.
        frozen: the picture at which it froze.
        sequence: the frame's number, which the noise of a covered lens follows.
    """
    if fault == "black":
        return np.full_like(picture, 16)  # black as video has it
    if fault == "white":
        return np.full_like(picture, 250)
    if fault == "covered":
        return _covered(picture, sequence)
    return frozen if fault == "frozen" else picture


def _covered(picture: Picture, sequence: int) -> Picture:
    height, width = picture.shape[:2]
    slope = np.add.outer(np.linspace(0, 0.5, height), np.linspace(0, 0.5, width))[..., np.newaxis]
    noise = np.random.default_rng(sequence).normal(0, _COVERED_NOISE, picture.shape)
    low, high = _COVERED_LEVELS
    return np.clip(low + (high - low) * slope + noise, 0, 255).astype(np.uint8)


def _seconds(source: str, key: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise DocumentError(source, [f"{key}: expected seconds of at least 0, got {text!r}"])
    return seconds
