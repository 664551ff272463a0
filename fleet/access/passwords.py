"""Passwords: hashed with Argon2id, never kept, and as slow to refuse for a user that does not exist."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from contracts.errors import WrittenError

SHORTEST = 12  # characters, as of the passphrases of keys
LONGEST = 256  # characters: whoever asks should not choose how much is hashed

_AT_ONCE = 2  # each takes 64 MiB and some 50 ms of every core (RFC 9106, section 4, second recommendation)
_MOST_WAITING = 8
_PATIENCE = 10.0  # seconds


class BusyError(Exception):
    """More passwords wait to be looked at than can be in good time."""


def new_password(text: str) -> str:
    """The text, where it may be a password.

    Raises:
        WrittenError: it is too short or too long; the text is not in it.
    """
    if not SHORTEST <= len(text) <= LONGEST:
        raise WrittenError(f"a password should have {SHORTEST} to {LONGEST} characters, this one has {len(text)}")
    return text


class Passwords:
    """Hashes and compares passwords; for use by several threads at once.

    Args:
        hasher: how; None: as RFC 9106 recommends where memory is limited.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._nobodys = self._hasher.hash("of nobody")
        self._free = threading.BoundedSemaphore(_AT_ONCE)
        self._lock = threading.Lock()
        self._waiting = 0

    def hash(self, password: str) -> str:
        """What is stored of a new one.

        Raises:
            WrittenError: it is too short or too long.
        """
        return self._hasher.hash(new_password(password))

    def matches(self, stored: str | None, password: str) -> bool:
        """Whether it is the password; takes as long where nothing is stored.

        Raises:
            BusyError: too many are asked at once.
        """
        with self._turn():
            try:
                self._hasher.verify(stored or self._nobodys, password[: LONGEST + 1])
            except (VerificationError, InvalidHashError):
                return False
        return stored is not None

    @contextmanager
    def _turn(self) -> Iterator[None]:
        with self._lock:
            if self._waiting >= _MOST_WAITING:
                raise BusyError
            self._waiting += 1
        try:
            if not self._free.acquire(timeout=_PATIENCE):
                raise BusyError
            try:
                yield
            finally:
                self._free.release()
        finally:
            with self._lock:
                self._waiting -= 1
