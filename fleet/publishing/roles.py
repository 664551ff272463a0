"""The roles of a repository: which key signs each, for how long, and when somebody has to be told that it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, Literal, get_args

from contracts.errors import DocumentError, UnknownNameError

KeyRole = Literal["root", "targets", "release", "online", "operator"]
KEY_ROLES: Final[tuple[KeyRole, ...]] = get_args(KeyRole)

ROOT: Final = "root"
TARGETS: Final = "targets"
SNAPSHOT: Final = "snapshot"
TIMESTAMP: Final = "timestamp"
MODEL: Final = "model"
"""Stands for every delegated role ``model-NAME``."""

MOST_DAYS = 3650


@dataclass(frozen=True)
class RoleRule:
    """How a role is kept valid.

    Args:
        key: the kind of key that signs it.
        days: that what is signed is valid for.
        alarm: days before the end at which somebody is told.
    """

    key: KeyRole
    days: int
    alarm: int


ROLES: Final[Mapping[str, RoleRule]] = MappingProxyType(
    {
        ROOT: RoleRule("root", 730, 90),
        TARGETS: RoleRule("targets", 365, 60),
        MODEL: RoleRule("release", 180, 30),
        SNAPSHOT: RoleRule("online", 7, 3),
        TIMESTAMP: RoleRule("online", 7, 3),
    }
)


def rule_of(role: str) -> RoleRule:
    """The rule of a TUF role, a model's included."""
    return ROLES.get(role, ROLES[MODEL])


@dataclass(frozen=True)
class Validity:
    """Until when signatures of now are valid.

    Args:
        now: UTC.
        days: for each of `ROLES` that has another one than its rule's.
    """

    now: datetime
    days: Mapping[str, int]

    def expires(self, role: str) -> datetime:
        """End of what the role signs now."""
        name = role if role in ROLES else MODEL
        return self.now + timedelta(days=self.days.get(name, ROLES[name].days))


def parse_days(texts: Sequence[str]) -> dict[str, int]:
    """Read ``ROLE=DAYS`` of a command line.

    Raises:
        DocumentError: it is something else.
        UnknownNameError: there is no such role.
    """
    found: dict[str, int] = {}
    for text in texts:
        role, equals, days = text.partition("=")
        if not equals or not days.isascii() or not days.isdigit() or not 1 <= int(days) <= MOST_DAYS:
            raise DocumentError(
                "--expires", [f"expected ROLE=DAYS with 1 to {MOST_DAYS} days, got {text!r}; say timestamp=14, say"]
            )
        if role not in ROLES:
            raise UnknownNameError("role", role, ROLES)
        found[role] = int(days)
    return found
