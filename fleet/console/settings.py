"""How the console is served, and its limits."""

from __future__ import annotations

from dataclasses import dataclass

LARGEST_BODY = 65_536  # bytes; forms and small documents come in, nothing else
REFRESH_HEADER = "x-edgetally-refresh"
"""A page that refreshes itself sends it: that is no use of the session."""


@dataclass(frozen=True)
class ConsoleSettings:
    """How it is served.

    Args:
        hosts: names that it may be asked under, beside addresses, ``localhost`` and this machine's name, in lower case.
        https: whether browsers reach it by HTTPS, from itself or from a proxy before it.
        metrics_open: whether ``/metrics`` wants no token.
        requests: that a session or token may make at once; half as many come back each ten seconds.
        strangers: the same of an address that is not signed in.
        enrolments: boxes of an address that may ask in vain to be let in, a minute.
    """

    hosts: frozenset[str] = frozenset()
    https: bool = False
    metrics_open: bool = False
    requests: int = 300
    strangers: int = 120
    enrolments: int = 20

    @property
    def scheme(self) -> str:
        """Of its own pages."""
        return "https" if self.https else "http"

    @property
    def cookie(self) -> str:
        """The session's cookie; by the prefix a browser takes it from this very host and by HTTPS only."""
        return "__Host-edgetally_fleet" if self.https else "edgetally_fleet"
