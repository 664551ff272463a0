"""When a picture was taken, as far as the source says it and can be believed."""

from __future__ import annotations

_OLDEST = 10.0  # seconds before now, and
_NEWEST = 0.5  # seconds after it, that a camera's own clock is believed


def taken_at(stated: float | None, now: float) -> float:
    """Seconds since 1970 at which a picture was taken: what the source stated where it is near now, else now.

    Args:
        stated: by the source's own clock, seconds since 1970; None where it states nothing.
        now: seconds since 1970, when it arrived.
    """
    return stated if stated is not None and now - _OLDEST <= stated <= now + _NEWEST else now
