"""Which of several mirrors to ask first: those that failed rest, longer each time, and are asked last."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

from agent.backoff import Backoff

_FIRST = 5.0  # ceiling of the first rest, seconds
_MOST = 600.0  # of every one: a server that is mended is to be used again on the same day


class Mirrors:
    """The base URLs of one repository, and how each of them did lately.

    Args:
        bases: in the order in which they are asked while all do well.
        clock: seconds, monotonic.
        chance: gives numbers in 0 to 1.
    """

    def __init__(
        self,
        bases: Sequence[str],
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self._bases = tuple(dict.fromkeys(base.rstrip("/") for base in bases))
        self._backoffs = {base: Backoff(_FIRST, _MOST, chance=chance) for base in self._bases}
        self._rest_until = dict.fromkeys(self._bases, float("-inf"))

    def order(self) -> list[str]:
        """All of them, those first that need no rest; among the others who may be asked again soonest."""
        now = self._clock()
        return sorted(self._bases, key=lambda base: max(now, self._rest_until[base]))

    def failed(self, base: str) -> None:
        """It did not answer, or wrongly: ask the others first for a while."""
        self._rest_until[base] = self._clock() + self._backoffs[base].next()

    def did_well(self, base: str) -> None:
        """It gave a whole file."""
        self._backoffs[base].reset()
        self._rest_until[base] = float("-inf")
