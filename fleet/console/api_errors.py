"""What every request of the HTTP API may be answered with instead."""

from __future__ import annotations

from typing import Any

from fleet.console.documents import ErrorAnswer

ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer, "description": text}
    for status, text in {
        400: "The query or a value cannot be used.",
        401: "No session or token that is taken.",
        403: "The role or the token's scopes do not allow it.",
        404: "It does not exist.",
        409: "It is not as expected; `current` says how it is.",
        422: "A parameter does not fit; `expected` says which.",
        429: "Too many requests; `Retry-After` says when.",
        503: "The database cannot be used now.",
    }.items()
}
