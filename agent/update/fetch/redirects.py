"""Where a web server may send a box to instead: to another https server, as object stores and CDNs do, no further."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urljoin, urlsplit

from agent.update.fetch.answers import AnswerError

MOST = 3  # in a row; a CDN needs one, its vendor sometimes a second
STATUSES = frozenset({301, 302, 303, 307, 308})
_PORTS = {"http": 80, "https": 443}


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a URL.

    Raises:
        AnswerError: it is none.
    """
    parts = _split(url)
    return parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme]


def follow(url: str, location: str | None) -> str:
    """The URL that a redirect leads to.

    To the same server anywhere, to another only by https (a redirect that takes the encryption away, or leaves the
    web, is refused), and never into the box itself: what listens only there is not meant for who sends redirects.

    Args:
        url: that answered.
        location: its ``Location`` header.

    Raises:
        AnswerError: it leads where it may not.
    """
    if not location or not location.isprintable() or " " in location:
        raise AnswerError("expected an address in Location, got none")
    try:
        there = urljoin(url, location)
    except ValueError:
        raise AnswerError("expected a URL in Location, got none that can be read") from None
    here = origin(url)
    scheme, host, port = origin(there)
    if (scheme, host, port) == here:
        return there
    if scheme != "https":
        raise AnswerError(f"expected a redirect to https, or to the same server, got one to {scheme}://{host}")
    if _is_inside(host):
        raise AnswerError(f"expected a redirect to a server of the network, got one to {host}")
    return there


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no number
    except ValueError:
        raise AnswerError("expected a URL in Location, got none that can be read") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise AnswerError(f"expected a redirect to https, got one to {parts.scheme[:20] or 'nowhere'}")
    if "@" in parts.netloc:
        raise AnswerError("expected a redirect without a password in it")
    return parts


def _is_inside(host: str) -> bool:
    name = host.rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        # "127.1", "2130706433" and "0x7f.1" are addresses too, to the C library.
        return all(part[:1].isdigit() for part in name.split("."))
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback or mapped.is_link_local or mapped.is_unspecified or mapped.is_multicast)
