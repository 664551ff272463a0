"""Tokens that let boxes in: how they look, and whom each is for. Pure.

``enrol-`` and two parts of RFC 4648's base32 in small letters, which nobody confuses on the phone: the first finds the
token, the second, 160 bits, is the secret. Stored is the SHA-256 of the whole.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from contracts.documents import ID_RULE
from contracts.errors import WrittenError

_PATTERN = re.compile(r"[a-z0-9_-]{0,63}\*[a-z0-9_-]{0,63}|[a-z0-9_-]{1,64}")
_ID_BYTES, _SECRET_BYTES = 5, 20
_LONGEST_ENTRY = 128
MOST_ENTRIES = 10_000
"""Names and serial numbers that a token is for, at most."""


@dataclass(frozen=True)
class Bounds:
    """Whom a token is for.

    Args:
        uses: how many boxes.
        names: what they may be called: a name, or one with a ``*`` for any characters.
        only: names and serial numbers; only a box that has one of them; empty: any.
        labels: that its boxes have, as long as their own agent.toml says nothing else.
    """

    uses: int = 1
    names: str = "*"
    only: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _PATTERN.fullmatch(self.names) or len(self.names) > 64:  # noqa: PLR2004 - as ids are
            raise WrittenError(
                f"--name should be a name ({ID_RULE}), with one * for any characters where several boxes may come, "
                f"got {self.names[:80]!r}"
            )
        if self.uses > 1 and "*" not in self.names:
            raise WrittenError(f"--name {self.names} is one box's, --uses {self.uses} are several; put a * into it")
        if len(self.only) > MOST_ENTRIES or any(not 0 < len(one) <= _LONGEST_ENTRY for one in self.only):
            raise WrittenError(f"--only should be a file of up to {MOST_ENTRIES} names and serial numbers, one a line")


@dataclass(frozen=True)
class EnrolToken:
    """A token, without itself.

    Args:
        id: names it.
        title: what it is for.
        bounds: whom it is for.
        used: how many boxes it let in.
        created_ms: when it was made, milliseconds since 1970; so the next two.
        expires_ms: from when on it is refused.
        revoked_ms: since when it is refused; None where nobody revoked it.
    """

    id: str
    title: str
    bounds: Bounds
    used: int
    created_ms: int
    expires_ms: int
    revoked_ms: int | None = None


def new_token() -> tuple[str, str]:
    """The id of a new token, and its text."""
    id_ = _base32(_ID_BYTES)
    return id_, f"enrol-{id_}-{_base32(_SECRET_BYTES)}"


def _base32(size: int) -> str:
    return base64.b32encode(secrets.token_bytes(size)).decode().lower()
