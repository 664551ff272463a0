"""What may be said of a source in a log or an error: enough to find it, and never a secret."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from contracts.documents import without_credentials

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://")


def scheme_of(source: str) -> str | None:
    """The scheme of a URL in lower case, None for what is none."""
    found = _SCHEME.match(source)
    return found.group(1).lower() if found else None


def shown(source: str) -> str:
    """The source for a person to read.

    Of a URL only scheme, host and port: many cameras want their password in the path or the query. Where even the
    host is in doubt (an '@' or '/' inside a password that was not escaped), only the scheme.
    """
    scheme = scheme_of(source)
    if scheme is None:
        return source
    try:
        parts = urlsplit(source)
        host, port = parts.hostname, parts.port
    except ValueError:
        return f"{scheme}://…"
    if not host or "@" in parts.path + parts.query + parts.fragment:
        return f"{scheme}://…"
    host = f"[{host}]" if host and ":" in host else host
    return f"{scheme}://{host}:{port}" if port else f"{scheme}://{host}"


def redacted(text: str, source: str) -> str:
    """A text that may quote the source, such as a traceback, without what `shown` leaves out."""
    return without_credentials(text.replace(source, shown(source)))
