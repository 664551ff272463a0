"""Spans of time as people write them on a command line: ``7d``, ``12h``, ``30m``."""

from __future__ import annotations

import re

from contracts.errors import WrittenError

_SPAN = re.compile(r"([1-9][0-9]{0,4})([dhm])")
_MS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000}
_LONGEST_MS = 3_660 * _MS["d"]


def span_ms(text: str) -> int:
    """Milliseconds of it.

    Raises:
        WrittenError: it is none, or longer than ten years.
    """
    found = _SPAN.fullmatch(text)
    span = int(found[1]) * _MS[found[2]] if found else 0
    if not 0 < span <= _LONGEST_MS:
        raise WrittenError(f"expected a span of days, hours or minutes as 7d, 12h or 30m, got {text[:40]!r}")
    return span
