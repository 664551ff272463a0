"""Asking web servers, by urllib3: it is imported with the first question.

Proxies: ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY`` of the environment hold, as for other programs of a service
(with an https server only the proxy's own log sees its name). There is no proxy where they are not set.
"""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.request import getproxies_environment

from agent.update.fetch.proxies import pool_through, proxy_for
from agent.update.fetch.trust import make_context
from contracts.documents import without_credentials
from contracts.errors import RuntimeMissingError, ServerError
from contracts.update_config import UpdateConfig
from contracts.version import VERSION

if TYPE_CHECKING:
    import urllib3


@dataclass(frozen=True)
class Limits:
    """How long a server may keep a box waiting.

    Args:
        connect: seconds until it takes a connection.
        silence: seconds without a byte.
        head: seconds until the whole head of an answer is there.
        slow_seconds: of waiting for bytes, in which at least ``slow_bytes`` must come.
        slow_bytes: in that time; the default is 1.1 kbit/s, below what any link is worth waiting for.
    """

    connect: float = 15.0
    silence: float = 30.0
    head: float = 60.0
    slow_seconds: float = 60.0
    slow_bytes: int = 8192


class Web:
    """Connections to web servers, kept open between questions.

    Args:
        config: how they are trusted.
        limits: how long they may take.
    """

    def __init__(self, config: UpdateConfig, limits: Limits) -> None:
        self._config = config
        self._limits = limits
        self._proxies = getproxies_environment()
        self._pools: dict[tuple[str | None, bool, bool], urllib3.PoolManager] = {}

    def get(self, url: str, headers: Mapping[str, str], *, identify: bool) -> urllib3.BaseHTTPResponse:
        """Ask, and read the head of the answer.

        Args:
            url: what is asked for.
            headers: of the question, beside those that every one has.
            identify: show the box's certificate; not to a server that another one sent the box to.

        Raises:
            ServerError: there is no answer.
            RuntimeMissingError: the extra is not installed.
        """
        try:
            import urllib3
        except ImportError as error:
            raise RuntimeMissingError("fetching models from a web server", "urllib3", "update") from error
        pool = self._pool(url, identify=identify)
        try:
            return pool.request(
                "GET",
                url,
                headers={"User-Agent": f"edgetally/{VERSION}", "Accept-Encoding": "identity", **headers},
                timeout=urllib3.Timeout(connect=self._limits.connect, read=self._limits.silence),
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        except (*NO_ANSWER, urllib3.exceptions.HTTPError) as error:
            raise no_answer(url, error) from error

    def _pool(self, url: str, *, identify: bool) -> urllib3.PoolManager:
        from agent.update.fetch.deadline import bound_heads

        proxy = proxy_for(url, self._proxies)
        encrypted = url.startswith("https:")
        key = (proxy, encrypted, identify)
        if key not in self._pools:
            context = make_context(self._config, identify=identify) if encrypted else None
            # One connection per server and a few servers: a box fetches one file at a time.
            pool = pool_through(proxy, context)
            bound_heads(pool, self._limits.head)
            self._pools[key] = pool
        return self._pools[key]


NO_ANSWER = (OSError, ValueError, http.client.HTTPException)
"""What an exchange may raise beside urllib3's own errors: for a name that IDNA cannot encode, say."""


def no_answer(url: str, error: Exception) -> ServerError:
    """What went wrong between here and there, without a secret of the URL."""
    text = " ".join(f"{type(error).__name__} {error}".split())
    shown = without_credentials(text)[:200]
    return ServerError(without_credentials(url), f"no answer ({shown})", "check its address, the network and the clock")
