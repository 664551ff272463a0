"""How often a password may be tried; several consoles on one database count each by itself."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict

from fleet.bucket import Bucket, Monotonic

_MOST_KEYS = 10_000


class LoginLimit:
    """How often a password may be tried: by address, by user, and by both.

    A stranger who tries a user's name all day delays only addresses that the user never signed in from: the others are
    judged by themselves.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Monotonic = time.monotonic) -> None:
        self._pairs = Bucket(5, 60.0, clock)
        self._addresses = Bucket(20, 60.0, clock)
        self._users = Bucket(30, 60.0, clock)
        self._trusted: OrderedDict[str, None] = OrderedDict()

    def begin(self, user: str, address: str) -> float:
        """A try begins: 0; or the seconds to wait, and it does not begin."""
        net = network(address)
        pair = f"{net} {user}"
        wait = self._addresses.take(net) or self._pairs.take(pair)
        if wait or pair in self._trusted:
            return wait
        return self._users.take(user)

    def succeeded(self, user: str, address: str) -> None:
        """The password was right: the try does not count."""
        net = network(address)
        pair = f"{net} {user}"
        self._addresses.give_back(net)
        self._pairs.give_back(pair)
        if pair not in self._trusted:
            self._users.give_back(user)
        self._trusted[pair] = None
        while len(self._trusted) > _MOST_KEYS:
            self._trusted.popitem(last=False)


def network(address: str) -> str:
    """What an address is counted under: itself, or of IPv6 the 64 bits that a connection is given at least."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if found.version == 4:  # noqa: PLR2004 - IPv4
        return str(found)
    return str(ipaddress.ip_network((found, 64), strict=False))
