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
        self._cleaned_ms = -_HOUR_MS

    def turn(self, now_ms: int) -> bool:
        """Remove what is too old, where an hour is over.

        Raises:
            DatabaseError: it cannot be written.
        """
        if not 0 <= now_ms - self._cleaned_ms < _HOUR_MS:  # the clock may be set back
            self._counts.forget(now_ms)
            self._cleaned_ms = now_ms
        return False
