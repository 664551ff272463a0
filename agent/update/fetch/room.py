"""Whether files may be fetched at all: room on the disk, and the network that they would come over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agent.update.errors import UpdateError, UpdateWaitsError
from agent.update.fetch.routes import default_interface
from contracts.update_config import UpdateConfig

_LOOK_EVERY = 5.0  # seconds between two looks at the route: a link that fails over in between is noticed soon enough
_LOOK_AGAIN = 60.0  # seconds until it is worth another try


def room_problem(config: UpdateConfig, need: int, used: int, free: int) -> UpdateError | None:
    """What is in the way of so many more bytes; None where nothing is.

    Args:
        config: with the quota, and what must stay free.
        need: bytes that are still to be reserved.
        used: bytes that models take already.
        free: bytes on the disk.
    """
    if used + need > config.quota_mb * 1e6:
        return UpdateError(
            "over_quota",
            f"{_mb(need)} to fetch and {_mb(used)} that models take already are more than 'update.quota_mb' "
            f"({config.quota_mb:.0f}) allows; raise it, or release a smaller bundle",
        )
    if free - need < config.keep_free_mb * 1e6:
        return UpdateError(
            "no_space",
            f"{_mb(need)} to fetch would leave {_mb(max(0, free - need))} of {_mb(free)} free, less than "
            f"'update.keep_free_mb' ({config.keep_free_mb:.0f}); free some space, or lower it",
        )
    return None


def _mb(amount: int) -> str:
    return f"{amount / 1e6:.1f} MB"


class Network:
    """Lets files be fetched only while the default route goes over an interface that is allowed.

    Args:
        interfaces: the names that are; empty: all.
        root: of the board's file tree, ``/``.
        clock: seconds, monotonic.
    """

    def __init__(self, interfaces: tuple[str, ...], root: Path, clock: Callable[[], float]) -> None:
        self._interfaces = interfaces
        self._root = root
        self._clock = clock
        self._next = float("-inf")

    def check(self) -> None:
        """Look, where the last look is some seconds old.

        Raises:
            UpdateWaitsError: it does not.
        """
        now = self._clock()
        if not self._interfaces or now < self._next:
            return
        found = default_interface(self._root)
        if found not in self._interfaces:
            there = f"it is {found}" if found else "there is none"
            allowed = " or ".join(self._interfaces)
            raise UpdateWaitsError(f"waits for the default route to be over {allowed}; {there}", _LOOK_AGAIN)
        self._next = now + _LOOK_EVERY
