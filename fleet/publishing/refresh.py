"""Signing anew before signatures end, and telling in time what will."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts.errors import UnknownNameError
from contracts.release import model_role
from fleet.publishing import roles
from fleet.publishing.change import Change, Repository, apply, body_of, write_root
from fleet.publishing.state import State


@dataclass(frozen=True)
class Expiry:
    """When a role's signature ends.

    Args:
        role: of TUF.
        version: of it that is in use.
        expires: UTC.
        alarm: from when on somebody has to act.
    """

    role: str
    version: int
    expires: datetime
    alarm: datetime


def refresh(repository: Repository, wanted: Sequence[str]) -> State:
    """Sign anew: snapshot and timestamp always, other roles where they are asked for.

    Args:
        repository: to refresh.
        wanted: ``root``, ``targets``, names of models, or ``model`` for all of them.

    Raises:
        UnknownNameError: no such role or model.
        KeysMissingError: keys are not at hand.
        ConflictError: somebody else was faster.
    """
    state = repository.state()
    names = _roles(state, wanted)
    if roles.ROOT in names:
        state = write_root(repository, state, state.root.signed)
    bodies = {role: body_of(state.roles[role]) for role in names if role != roles.ROOT}
    return apply(repository, state, Change(bodies))


def expiries(state: State) -> list[Expiry]:
    """When each signature ends that readers need now, soonest first."""
    found = [
        _expiry(roles.ROOT, state.root.signed.version, state.root.signed.expires),
        _expiry(roles.SNAPSHOT, state.snapshot.signed.version, state.snapshot.signed.expires),
        _expiry(roles.TIMESTAMP, state.timestamp.signed.version, state.timestamp.signed.expires),
        *(_expiry(role, one.signed.version, one.signed.expires) for role, one in state.roles.items()),
    ]
    return sorted(found, key=lambda expiry: expiry.expires)


def alarms(state: State, now: datetime) -> list[str]:
    """A sentence for each signature that ends soon or has ended, with the command that mends it."""
    return [_sentence(expiry, now) for expiry in expiries(state) if expiry.alarm <= now]


def _sentence(expiry: Expiry, now: datetime) -> str:
    ended = expiry.expires <= now
    when = f"{expiry.expires:%Y-%m-%d %H:%M} UTC"
    online = roles.rule_of(expiry.role).key == "online"
    name = expiry.role if expiry.role in roles.ROLES else expiry.role.removeprefix(model_role(""))
    do = "edgetally-fleet repository refresh" + ("" if online else f" --role {name}")
    return f"{expiry.role} {'expired' if ended else 'expires'} {when}; run `{do}`"


def _expiry(role: str, version: int, expires: datetime) -> Expiry:
    return Expiry(role, version, expires, expires - timedelta(days=roles.rule_of(role).alarm))


def _roles(state: State, wanted: Sequence[str]) -> list[str]:
    models = [role for role in state.roles if role != roles.TARGETS]
    found: list[str] = []
    for name in wanted:
        if name == roles.MODEL:
            found += models
        elif name in {roles.ROOT, roles.TARGETS}:
            found.append(name)
        elif name in {roles.SNAPSHOT, roles.TIMESTAMP}:
            continue
        elif model_role(name) in models:
            found.append(model_role(name))
        else:
            known = [*roles.ROLES, *(role.removeprefix(model_role("")) for role in models)]
            raise UnknownNameError("role or model", name, known)
    return list(dict.fromkeys(found))
