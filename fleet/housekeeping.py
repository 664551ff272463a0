"""What is thrown away once nobody needs it any more."""

from __future__ import annotations

from fleet.store.count_reports import CountLog

_HOUR_MS = 3_600_000


class Housekeeping:
    """Removes old counts, once an hour.

    Args:
        counts: of cameras.
    """

    def __init__(self, counts: CountLog) -> None:
        self._counts = counts
        self._next_ms = 0

    def turn(self, now_ms: int) -> bool:
        """Remove what is too old, where an hour is over.

        Raises:
            DatabaseError: it cannot be written.
        """
        if now_ms >= self._next_ms:
            self._counts.forget(now_ms)
            self._next_ms = now_ms + _HOUR_MS
        return False
