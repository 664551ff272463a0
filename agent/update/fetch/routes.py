"""Over which network interface traffic goes that is for nowhere near: the kernel's default route."""

from __future__ import annotations

import re
from pathlib import Path

from agent.tree import read_text

_UP = 1  # RTF_UP, linux/route.h
_IPV4_FIELDS = 8  # Iface Destination Gateway Flags RefCnt Use Metric Mask …, proc_net_route in proc(5)
_IPV6_FIELDS = 10  # destination, its length, source, its length, next hop, metric, references, uses, flags, interface
_NUMBER = re.compile("[0-9A-Fa-f]{1,32}")
_LOOPBACK = "lo"  # the kernel keeps a "default route" that refuses everything there, for IPv6


def default_interface(root: Path) -> str | None:
    """The interface of the default route with the lowest metric; IPv4's before IPv6's; None where there is none.

    Args:
        root: of the board's file tree, ``/``.
    """
    found = _ipv4(read_text(root / "proc/net/route")) or _ipv6(read_text(root / "proc/net/ipv6_route"))
    return min(found)[1] if found else None


def _ipv4(text: str) -> list[tuple[int, str]]:
    """Metric and interface of each default route."""
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) >= _IPV4_FIELDS and _hex(fields[1]) == _hex(fields[7]) == 0 and _hex(fields[3]) & _UP:
            found.append((int(fields[6]) if fields[6].isdecimal() else 0, fields[0]))
    return found


def _ipv6(text: str) -> list[tuple[int, str]]:
    found = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < _IPV6_FIELDS or fields[9] == _LOOPBACK:
            continue
        if _hex(fields[1]) == 0 and _hex(fields[8]) & _UP:
            found.append((_hex(fields[5]), fields[9]))
    return found


def _hex(text: str) -> int:
    """The number; one that is no default route's where it is none."""
    return int(text, 16) if _NUMBER.fullmatch(text) else -2
