"""Durations and shares, as a person writes and reads them."""

from __future__ import annotations

import math
import re

from contracts.errors import WrittenError

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?", re.ASCII)
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,9})?)\s*%", re.ASCII)
_LONGEST = 366 * 86_400  # seconds


class AmountError(WrittenError):
    """A duration, share or list of waves cannot be read."""


def parse_duration(text: str) -> int:
    """Seconds of ``90s``, ``30m``, ``1h30m``, ``2d`` or ``0s``; at most a year.

    Raises:
        AmountError: it is none.
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        raise AmountError(f"expected a duration such as 90s, 30m, 1h30m or 2d, got {text!r}")
    seconds = sum(int(part or 0) * unit for part, unit in zip(found.groups(), (86_400, 3_600, 60, 1), strict=True))
    if seconds > _LONGEST:
        raise AmountError(f"expected a duration of at most 366d, got {text!r}")
    return seconds


def show_duration(seconds: float) -> str:
    """As `parse_duration` reads it, in at most two units: ``2d``, ``1h30m``, ``45s``; less than a second is ``0s``."""
    left = max(0, math.floor(seconds))
    parts: list[str] = []
    for unit, size in sorted(_SECONDS.items(), key=lambda one: -one[1]):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
        if len(parts) == 2 or (parts and not count):  # noqa: PLR2004 - what nobody reads is left out
            break
    return "".join(parts) or "0s"


def show_boxes(count: int) -> str:
    """``1 box``, ``2 boxes``."""
    return f"{count} box" if count == 1 else f"{count} boxes"


def parse_share(text: str) -> float:
    """0 to 1 of ``0%`` to ``100%``; the sign must be there, as 1 could be meant either way.

    Raises:
        AmountError: it is none.
    """
    found = _SHARE.fullmatch(text.strip())
    share = float(f"{found[1]}e-2") if found else math.inf
    if share > 1:
        raise AmountError(f"expected a share from 0% to 100% such as 1% or 2.5%, got {text!r}")
    return share


def show_share(share: float) -> str:
    """In percent, to three figures: ``0.5%``, ``12.3%``; what is not all is never shown as all, nor some as none."""
    text = f"{share * 100:.3g}%"
    if text == "100%" and share < 1:
        return "99.9%"
    return text
