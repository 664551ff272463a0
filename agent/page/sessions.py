"""Who may look: the password, the sessions that it opened, and how often somebody may guess."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

SESSION_SECONDS = 12 * 3600.0
_MOST_SESSIONS = 64
_MOST_PEERS = 256
_GUESSES = 5  # wrong passwords that an address may send in
_GUESSES_IN = 60.0  # seconds

Clock = Callable[[], float]


class Sessions:
    """Opened with the password, closed by hand, by time, or by newer ones; kept in memory, as digests.

    Not for use by two threads at once.

    Args:
        password: what opens one; None lets everybody in.
        clock: seconds, monotonic.
    """

    def __init__(self, password: str | None, clock: Clock = time.monotonic) -> None:
        self._password = None if password is None else _digest(password)
        self._clock = clock
        self._until: OrderedDict[bytes, float] = OrderedDict()

    @property
    def needs_password(self) -> bool:
        """Whether there is one."""
        return self._password is not None

    def is_password(self, text: str) -> bool:
        """Whether it is the password; takes as long for any text."""
        return self._password is not None and hmac.compare_digest(_digest(text), self._password)

    def open(self) -> str:
        """Open a session; returns its token. The oldest of too many ends."""
        token = secrets.token_urlsafe(32)
        self._until[_digest(token)] = self._clock() + SESSION_SECONDS
        while len(self._until) > _MOST_SESSIONS:
            self._until.popitem(last=False)
        return token

    def holds(self, token: str | None) -> bool:
        """Whether the token is of an open session."""
        if token is None:
            return False
        key = _digest(token)
        until = self._until.get(key)
        if until is not None and self._clock() >= until:
            del self._until[key]
            return False
        return until is not None

    def close(self, token: str | None) -> None:
        """End a session; harmless where there is none."""
        if token is not None:
            self._until.pop(_digest(token), None)


class Throttle:
    """How often an address may send a wrong password: five times a minute. Remembers the last 256 addresses.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, list[float]] = OrderedDict()

    def wait(self, peer: str) -> float:
        """Seconds until the address may try again; 0 where it may now."""
        recent = self._recent(peer)
        return max(0.0, recent[-_GUESSES] + _GUESSES_IN - self._clock()) if len(recent) >= _GUESSES else 0.0

    def wrong(self, peer: str) -> None:
        """The address sent a wrong password."""
        self._wrong[peer] = [*self._recent(peer), self._clock()][-_GUESSES:]
        self._wrong.move_to_end(peer)
        while len(self._wrong) > _MOST_PEERS:
            self._wrong.popitem(last=False)

    def _recent(self, peer: str) -> list[float]:
        now = self._clock()
        return [at for at in self._wrong.get(peer, ()) if now - at < _GUESSES_IN]


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
