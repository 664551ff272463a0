"""What a person or a program may do.

A role has every right of those below it; a token has those of its scopes that the role of its user has too.

============  =======================================================
``viewer``    ``read``: look at everything
``operator``  also ``config`` and ``rollout``: change what boxes run
``admin``     also ``admin``: users and their tokens
============  =======================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal, get_args

from contracts.errors import UnknownNameError, WrittenError

Role = Literal["viewer", "operator", "admin"]
Scope = Literal["read", "config", "rollout", "admin"]

ROLES: tuple[Role, ...] = get_args(Role)
SCOPES: tuple[Scope, ...] = get_args(Scope)

ALLOWED: Mapping[Role, frozenset[Scope]] = MappingProxyType(
    {
        "viewer": frozenset({"read"}),
        "operator": frozenset({"read", "config", "rollout"}),
        "admin": frozenset(SCOPES),
    }
)

_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")


def role_of(text: str) -> Role:
    """The role of that name.

    Raises:
        UnknownNameError: there is none.
    """
    if text not in ROLES:
        raise UnknownNameError("role", text, ROLES)
    return text


def scopes_of(texts: Iterable[str]) -> tuple[Scope, ...]:
    """The scopes of those names, each once and in the order of `SCOPES`.

    Raises:
        UnknownNameError: one does not exist.
        WrittenError: there are none.
    """
    asked = set(texts)
    for text in sorted(asked):
        if text not in SCOPES:
            raise UnknownNameError("scope", text, SCOPES)
    if not asked:
        raise WrittenError(f"a token without a scope may do nothing; expected some of {', '.join(SCOPES)}")
    return tuple(scope for scope in SCOPES if scope in asked)


def user_name(text: str) -> str:
    """The text, where a user may be called that.

    Raises:
        WrittenError: not so.
    """
    if not _NAME.fullmatch(text):
        rule = "1 to 64 of a-z, 0-9, '.', '_', '@' and '-', the first a letter or digit"
        raise WrittenError(f"a user's name should be {rule}, got {text[:80]!r}")
    return text
