"""How fast files come: a limit to the link they take, and what to say of it."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from agent.update.errors import UpdateStoppedError
from agent.update.ports import Note, Stopped

_SLICE = 0.25  # seconds: how soon a wait ends that should
_BURST = 0.5  # seconds' worth of bytes that may come at once
_WINDOW = 10.0  # seconds over which the rate is taken
_EVERY = 1.0  # seconds between two notes
_SLOW = 0.1  # MB/s below which kB/s say more


@dataclass(frozen=True)
class Time:
    """Time and chance, which tests replace.

    Args:
        clock: seconds, monotonic.
        wait: so many seconds.
        chance: gives numbers in 0 to 1.
    """

    clock: Callable[[], float] = time.monotonic
    wait: Callable[[float], object] = time.sleep
    chance: Callable[[], float] = random.random

    def wait_for(self, seconds: float, stopped: Stopped) -> None:
        """Wait, in slices.

        Raises:
            UpdateStoppedError: `stopped` said so meanwhile.
        """
        while seconds > 0:
            check_stopped(stopped)
            self.wait(min(seconds, _SLICE))
            seconds -= _SLICE
        check_stopped(stopped)


def check_stopped(stopped: Stopped) -> None:
    """Raises ``UpdateStoppedError`` where a step should end now."""
    if stopped():
        raise UpdateStoppedError("stopped while files were fetched; what came is kept")


class Bandwidth:
    """A token bucket: bytes may come at a rate, after a pause a little more at once.

    Args:
        kbit: per second, of 1000 bits; None: no limit.
        clock: seconds, monotonic.
    """

    def __init__(self, kbit: float | None, clock: Callable[[], float]) -> None:
        self._rate = None if kbit is None else kbit * 1000 / 8
        self._clock = clock
        self._at = clock()
        self._tokens = 0.0

    def take(self, amount: int) -> float:
        """Seconds to wait now that ``amount`` bytes came."""
        if self._rate is None:
            return 0.0
        now = self._clock()
        self._tokens = min(self._tokens + (now - self._at) * self._rate, _BURST * self._rate) - amount
        self._at = now
        return max(0.0, -self._tokens / self._rate)


class Progress:
    """Says how many of all bytes are there, and how fast they come: ``12.0 of 48.2 MB, 3.1 MB/s``.

    Args:
        total: bytes of all files.
        note: told of it.
        clock: seconds, monotonic.
    """

    def __init__(self, total: int, note: Note, clock: Callable[[], float]) -> None:
        self._total = total
        self._note = note
        self._clock = clock
        self._finished = 0
        self._came: deque[tuple[float, int]] = deque([(clock(), 0)])
        self._next = float("-inf")

    def there(self, done: int, came: int = 0) -> None:
        """Say it, once a second at most.

        Args:
            done: bytes of the file that is being fetched.
            came: of them just now, over the link.
        """
        now = self._clock()
        self._came.append((now, self._came[-1][1] + came))
        while len(self._came) > 2 and self._came[1][0] < now - _WINDOW:  # noqa: PLR2004 - the newest and one before
            self._came.popleft()
        if now >= self._next:
            self._next = now + _EVERY
            self._say(self._finished + done)

    def finished(self, size: int) -> None:
        """A file of so many bytes is whole, and verified."""
        self._finished += size
        self._say(self._finished)

    def _say(self, done: int) -> None:
        (since, before), (now, after) = self._came[0], self._came[-1]
        rate = (after - before) / (now - since) / 1e6 if now > since else None
        self._note(in_words(done, self._total, rate), done / self._total if self._total else 1.0)


def in_words(done: int, total: int, rate: float | None) -> str:
    """Bytes of all bytes; the rate in MB of 10^6 bytes per second, None where there is none yet."""
    text = f"{done / 1e6:.1f} of {total / 1e6:.1f} MB"
    if rate is None:
        return text
    return f"{text}, {rate:.1f} MB/s" if rate >= _SLOW else f"{text}, {rate * 1000:.0f} kB/s"
