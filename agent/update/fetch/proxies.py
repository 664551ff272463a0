"""The proxy between a box and a web server: ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY`` of the environment."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from urllib.request import proxy_bypass

from contracts.errors import ServerError

if TYPE_CHECKING:
    import urllib3


def proxy_for(url: str, proxies: Mapping[str, str]) -> str | None:
    """The proxy's address; None where the server is asked itself.

    Args:
        url: that is asked.
        proxies: of `urllib.request.getproxies_environment`.
    """
    parts = urlsplit(url)
    if proxy_bypass(parts.netloc, dict(proxies)):
        return None
    proxy = proxies.get(parts.scheme)
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


def pool_through(proxy: str | None, context: ssl.SSLContext | None) -> urllib3.PoolManager:
    """Connections, through a proxy or none.

    Raises:
        ServerError: the proxy's address cannot be used.
    """
    import urllib3

    if proxy is None:
        return urllib3.PoolManager(num_pools=4, ssl_context=context)
    try:
        parts = urlsplit(proxy)
        user = parts.username
        login = None if user is None else f"{unquote(user)}:{unquote(parts.password or '')}"
        address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        headers = urllib3.make_headers(proxy_basic_auth=login)
        return urllib3.ProxyManager(address, num_pools=4, proxy_headers=headers, ssl_context=context)
    except (ValueError, AssertionError, urllib3.exceptions.HTTPError):  # whatever it says may show the password
        raise ServerError("the proxy", "its address cannot be used", "check HTTPS_PROXY and HTTP_PROXY") from None
