"""Whether a box is let in, and what it is called. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from contracts.documents import ID_PATTERN, ID_RULE
from fleet.enrolment.errors import EnrolmentRefusedError
from fleet.enrolment.tokens import EnrolToken

State = Literal["active", "allowed", "decommissioned", "user"]
"""How a name stands: a box has it; one may come and take it, also from another; nobody may have it; it is of a user of
the broker that is no box."""

_ID = re.compile(ID_PATTERN.strip("^$"))
_LONGEST_ID = 64


@dataclass(frozen=True)
class Asked:
    """What a box asks for.

    Args:
        name: that it wants; None: whatever it is given.
        serial: of its board, as it says; None where it has none.
    """

    name: str | None = None
    serial: str | None = None


def check_token(token: EnrolToken | None, now_ms: int, *, again: bool) -> EnrolToken:
    """The token, where it lets in.

    Args:
        token: that was found, where its secret is right; else None.
        now_ms: now.
        again: whether the box was let in by it before, with this key: then it comes because the answer was lost.

    Raises:
        EnrolmentRefusedError: it does not.
    """
    if token is None:
        raise EnrolmentRefusedError(
            "token_unknown", "this server has no such token; copy it whole, or ask for another one"
        )
    if token.revoked_ms is not None:
        raise EnrolmentRefusedError("token_revoked", f"token {token.id} was revoked; ask for another one")
    if now_ms >= token.expires_ms:
        raise EnrolmentRefusedError("token_expired", f"token {token.id} has expired; ask for another one")
    if token.used >= token.bounds.uses and not again:
        raise EnrolmentRefusedError(
            "token_used_up",
            f"token {token.id} let in the {token.bounds.uses} it was for; ask for another one",
        )
    return token


def choose_name(token: EnrolToken, asked: Asked, chance: str) -> str:
    """What the box is called.

    Args:
        token: that lets it in.
        asked: what it asks for.
        chance: some characters of an id, for a box that has neither name nor serial number.

    Raises:
        EnrolmentRefusedError: it may not be called that, or the token is not for it.
    """
    names = token.bounds.names
    name = asked.name or (names.replace("*", _as_id(asked.serial) or chance) if "*" in names else names)
    name = name[:_LONGEST_ID]
    if not _ID.fullmatch(name):
        raise EnrolmentRefusedError("name_wrong", f"a box's name should be {ID_RULE}, got {name!r}; give --name")
    before, star, after = names.partition("*")
    fits = (
        name.startswith(before) and name.endswith(after) and len(name) >= len(before) + len(after)
        if star
        else name == names
    )
    if not fits:
        raise EnrolmentRefusedError(
            "name_not_allowed", f"token {token.id} is for boxes called {names}, not {name}; give another --name"
        )
    if token.bounds.only and not {name, asked.serial} & set(token.bounds.only):
        raise EnrolmentRefusedError(
            "name_not_allowed",
            f"neither the name {name} nor this box's serial number is among those that token {token.id} is for; "
            "ask who made it to add it",
        )
    return name


def check_name(name: str, state: State | None, *, known: bool) -> None:
    """See that a box that comes new may have a name.

    Args:
        name: that it would have.
        state: how it stands; None where no box was let in under it.
        known: whether the inventory has a box of that name, as where it was set up by hand.

    Raises:
        EnrolmentRefusedError: it may not.
    """
    allow = f"on the server: `edgetally-fleet enrol allow {name}`, or choose another name"
    if state == "decommissioned":
        raise EnrolmentRefusedError(
            "decommissioned", f"{name} was decommissioned, so that it does not come back by itself; {allow}"
        )
    if state == "user":
        raise EnrolmentRefusedError("name_taken", f"{name} is no box's name but a user's of the broker; choose another")
    if state == "active" or (state is None and known):
        raise EnrolmentRefusedError(
            "name_taken", f"there is a box {name} already; where this one takes its place, {allow}"
        )


def _as_id(serial: str | None) -> str:
    """A serial number as part of an id; empty where nothing of it fits."""
    return re.sub(r"[^a-z0-9]+", "-", (serial or "").lower()).strip("-")
