"""Who asks the console."""

from __future__ import annotations

from dataclasses import dataclass

from fleet.access.roles import Role, Scope
from fleet.store.audit import Author


@dataclass(frozen=True)
class Visitor:
    """Who asks, once that is known.

    Args:
        author: their name, and which way they came.
        role: the user's.
        rights: what they may do.
        session: what a change must carry where a session asks (against forged requests); None of a token.
        key: what they are counted under where requests are limited.
    """

    author: Author
    role: Role
    rights: frozenset[Scope]
    session: str | None
    key: str
