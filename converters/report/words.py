"""Figures as a person reads them."""

from __future__ import annotations

from contracts.measurement import Interval
from contracts.model_spec import ModelSpec

NONE = "\N{EN DASH}"
TIMES = "\N{MULTIPLICATION SIGN}"
_STEPS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def number(value: float | None) -> str:
    """Three figures where there are as many, all of those before the point: ``0.314``, ``20.3``, ``1204``."""
    if value is None:
        return NONE
    places = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3  # noqa: PLR2004
    return f"{value:.{places}f}"


def size(count: int | None) -> str:
    """Bytes in units of 1000."""
    if count is None:
        return NONE
    for step, unit in _STEPS:
        if count >= step:
            return f"{number(count / step)} {unit}"
    return f"{count} bytes"


def times(ratio: float | None) -> str:
    """How many times as fast."""
    return NONE if ratio is None else f"{ratio:.2f}{TIMES}"


def share(value: float) -> str:
    """A share in per cent: ``0.31 %``."""
    return f"{value * 100:.2f} %"


def signed(interval: Interval) -> str:
    """A change in per cent with its interval: ``+0.31 (-0.10 to +0.70)``."""
    low, high = (f"{value * 100:+.2f}" for value in (interval.low, interval.high))
    return f"{interval.estimate * 100:+.2f} ({low} to {high})"


def count(n: int, what: str) -> str:
    """``1 picture``, ``2 pictures``."""
    return f"{n} {what}{'' if n == 1 else 's'}"


def stages(model: ModelSpec) -> str:
    """Where which part of the network runs; empty where it runs as a whole."""
    if not model.stage:
        return ""
    first, last = model.stage
    return f"{first.name} (to {', '.join(first.ends)}) on the target, then {last.name} on its host processor"
