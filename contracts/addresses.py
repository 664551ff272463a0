"""What may be said of a source in a log or an error: enough to find it, and never a secret."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from urllib.parse import quote, unquote, unquote_plus, urlsplit

from contracts.documents import without_credentials

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://")
_PIPELINE = re.compile(r"^gst:\s*([A-Za-z][A-Za-z0-9_-]*)(?=\s|$)")
_SHORTEST_SECRET = 4  # characters; replacing shorter ones would tear words apart and hide nothing
_CUTS = (re.compile(r"[/?#]"), re.compile(r"[?&#]"), re.compile(r"[/?#&;]?\w*="), re.compile(r"[/?#&;=\s]+"))


def scheme_of(source: str) -> str | None:
    """The scheme of a URL in lower case, None for what is none."""
    found = _SCHEME.match(source)
    return found.group(1).lower() if found else None


def shown(source: str) -> str:
    """The source for a person to read.

    Of a URL only scheme, host and port: many cameras want their password in the path or the query. Where even the
    host is in doubt (an '@' or '/' inside a password that was not escaped), only the scheme. Of a GStreamer pipeline
    only its first element.
    """
    if source.startswith("gst:"):
        first = _PIPELINE.match(source)
        return f"gst:{first.group(1)}" if first else "gst:…"
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
    """A text that may quote the source or a part of it, such as a traceback, without what `shown` leaves out.

    FFmpeg and Python quote a URL whole, without its user, with its escapes resolved or its path alone; so every part
    of it that is no address is taken out, as it is written, unescaped and escaped.
    """
    text = text.replace(source, shown(source))
    if scheme_of(source) is not None:
        text = _without(text, set(_secrets(source)))
    return without_credentials(text)


def _without(text: str, secrets: set[str]) -> str:
    """The text with '…' for each run that is part of a secret; they may overlap."""
    hidden = bytearray(len(text))
    for secret in secrets:
        at = text.find(secret)
        while at >= 0:
            hidden[at : at + len(secret)] = b"\1" * len(secret)
            at = text.find(secret, at + 1)
    runs = itertools.groupby(zip(text, hidden, strict=True), key=lambda pair: pair[1])
    return "".join("…" if is_hidden else "".join(letter for letter, _ in run) for is_hidden, run in runs)


def _secrets(source: str) -> Iterator[str]:
    """The parts of a URL that `shown` leaves out: user, password, and the pieces of path and query.

    Where an '@' stands in a path or a '/' in a password, it may be meant in two ways; both are taken apart.
    """
    rest = source.partition("://")[2]
    parts = [rest[: found.start()] for found in re.finditer("@", rest)]
    parts += [part for before in parts for part in before.split(":", 1)]
    parts += [rest[len(re.split(r"[/?#]", rest)[0]) :]]
    after = rest.rpartition("@")[2]
    parts += [after[len(re.split(r"[/?#]", after)[0]) :]]
    parts += [piece for part in parts for cut in _CUTS for piece in cut.split(part)]
    host = shown(source).partition("://")[2]
    for part in {part for part in parts if part not in host}:
        escaped = (quote(part, safe, errors="replace") for safe in ("/", ""))
        for form in (part, unquote(part), unquote_plus(part), *escaped):
            if len(form) >= _SHORTEST_SECRET:
                yield form
