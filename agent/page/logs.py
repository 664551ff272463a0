"""The last lines of the log, for the page: bounded, and without secrets."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

from contracts.documents import without_credentials

_KEPT = 500  # lines
_LONGEST = 2000  # characters of a line
_SHORTEST_SECRET = 4  # characters; replacing shorter ones would tear words apart and hide nothing
_HIDDEN = "…"


@dataclass(frozen=True)
class LogLine:
    """One line.

    Args:
        seq: its number since the start, from 1.
        at: seconds since 1970.
        level: its name.
        logger: who said it.
        text: what was said, with its traceback.
    """

    seq: int
    at: float
    level: str
    logger: str
    text: str


class LogRing(logging.Handler):
    """Keeps the last lines that were logged.

    Args:
        secrets: texts that no line may show, wherever they stand.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._lines: deque[LogLine] = deque(maxlen=_KEPT)
        self._seq = 0
        self._guard = threading.Lock()
        self._secrets: list[str] = []
        self.hide(secrets)
        self.setFormatter(logging.Formatter("%(message)s"))

    def hide(self, secrets: Iterable[str]) -> None:
        """Hide these too, in lines to come and in those that are kept; any thread may ask for it."""
        wanted = {one for one in secrets if len(one) >= _SHORTEST_SECRET}
        with self._guard:
            # The longest first: a shorter one may be a part of it.
            self._secrets = sorted(wanted.union(self._secrets), key=len, reverse=True)
            kept = [replace(line, text=self._clean(line.text)) for line in self._lines]
            self._lines.clear()
            self._lines.extend(kept)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line; called by logging."""
        try:
            text = self._clean(self.format(record))
        except Exception:  # noqa: BLE001 - as logging's own handlers do
            self.handleError(record)
            return
        with self._guard:
            self._seq += 1
            self._lines.append(LogLine(self._seq, record.created, record.levelname.lower(), record.name, text))

    def after(self, seq: int) -> list[dict[str, object]]:
        """The lines that are newer than a number, oldest first, as plain data."""
        with self._guard:
            return [asdict(line) for line in self._lines if line.seq > seq]

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        text = without_credentials(text)
        return text if len(text) <= _LONGEST else text[:_LONGEST] + _HIDDEN
