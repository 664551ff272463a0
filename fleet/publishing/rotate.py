"""Replacing keys: as a habit, or because somebody else has one.

Where the root says which keys count (root, targets, online), the roles are first signed by the old keys and the new
ones and only then a new root is written: readers of either root find signatures that they accept, at every moment.
Where the old private key is lost the roles are signed by the new key alone: between the new root and the new timestamp,
which follow one another, a reader is refused and comes again.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tuf.api.metadata import Root, Targets

from contracts.errors import UnknownNameError
from contracts.release import OPERATOR_ROLE
from fleet.publishing import roles
from fleet.publishing.change import Change, Repository, apply, body_of, prepare, write_root
from fleet.publishing.errors import KeyFileError
from fleet.publishing.keys import KeyInfo
from fleet.publishing.roles import KEY_ROLES, KeyRole
from fleet.publishing.signing import can_sign, check_keys
from fleet.publishing.state import State, delegated

_OF_ROOT: Final[dict[KeyRole, tuple[str, ...]]] = {
    "root": (roles.ROOT,),
    "targets": (roles.TARGETS,),
    "online": (roles.SNAPSHOT, roles.TIMESTAMP),
}
"""TUF roles of each kind of key that the root names; the other kinds are named by targets."""

_ONLINE: Final = (roles.SNAPSHOT, roles.TIMESTAMP)
_AGREE: Final[dict[KeyRole, tuple[str, ...]]] = {
    "root": (roles.ROOT,),
    "targets": (roles.ROOT, *_ONLINE),
    "online": (roles.ROOT,),
    "release": (roles.TARGETS, *_ONLINE),
    "operator": (roles.TARGETS, *_ONLINE),
}
"""TUF roles that have to sign before a key of that kind is replaced, by its kind."""


@dataclass(frozen=True)
class Replacement:
    """A key in another one's place.

    Args:
        role: what both sign.
        old: key id that goes.
        new: that comes.
    """

    role: KeyRole
    old: str
    new: KeyInfo


def keys_in_use(state: State, role: KeyRole) -> list[str]:
    """Key ids of a kind that the repository's metadata name, in their order."""
    if role in _OF_ROOT:
        return list(dict.fromkeys(id_ for name in _OF_ROOT[role] for id_ in state.root.signed.roles[name].keyids))
    targets = state.targets.signed
    names = [name for name in delegated(targets) if (name == OPERATOR_ROLE) == (role == "operator")]
    return list(dict.fromkeys(id_ for name in names for id_ in targets.get_delegated_role(name).keyids))


def key_to_replace(repository: Repository, state: State, name: str) -> tuple[KeyRole, str]:
    """Which key is meant by a role, a key's name or a key id.

    Raises:
        UnknownNameError: nothing is called so.
        KeyFileError: it is not in use, or the role has several keys.
    """
    if name in KEY_ROLES:
        role = KEY_ROLES[KEY_ROLES.index(name)]
        used = keys_in_use(state, role)
        if len(used) != 1:
            raise _not_one(repository, role, used)
        return role, used[0]
    used_by = {keyid: role for role in KEY_ROLES for keyid in keys_in_use(state, role)}
    info = repository.keyring.named(name)
    keyid = info.keyid if info else next((one for one in used_by if len(name) >= 8 and one.startswith(name)), None)  # noqa: PLR2004 - as in Keyring.named
    if keyid is None:
        raise UnknownNameError("role or key", name, [*KEY_ROLES, *(one.name for one in repository.keyring.all())])
    if keyid not in used_by:
        raise KeyFileError(name, "this key is not in use", "`edgetally-fleet keys list` shows which are")
    return used_by[keyid], keyid


def _not_one(repository: Repository, role: KeyRole, used: Sequence[str]) -> KeyFileError:
    if not used:
        return KeyFileError(f"{role} keys", "none is in use", "the newest one is taken by the first `publish`")
    names = ", ".join(repository.keyring.name_of(keyid) for keyid in used)
    return KeyFileError(f"{role} keys", f"several are in use: {names}", "name the one that is to be replaced")


def pending_key(repository: Repository, state: State, role: KeyRole) -> KeyInfo | None:
    """A key that was made after those in use and is not in use yet: a rotation was cut short, or somebody made it."""
    used = set(keys_in_use(state, role))
    known = repository.keyring.of(role)
    newest = max((info.number for info in known if info.keyid in used), default=0)
    return next((info for info in known if info.keyid not in used and info.number > newest), None)


def check_can_replace(repository: Repository, state: State, role: KeyRole) -> None:
    """Find out, before a new key is made, whether the keys are at hand that have to agree.

    Raises:
        KeysMissingError: some are not.
    """
    for name in _AGREE[role]:
        check_keys(state.root.signed, name, repository.keyring)


def replace_key(repository: Repository, state: State, replacement: Replacement) -> State:
    """Have a new key in an old one's place.

    Raises:
        KeysMissingError: keys that have to agree are not at hand.
        ConflictError: somebody else was faster.
    """
    if replacement.role not in _OF_ROOT:
        return apply(repository, state, Change(_delegations(state, replacement)))
    root = _root(state, replacement)
    if replacement.role == "root":
        return write_root(repository, state, root)
    bodies: dict[str, Targets] = {}
    if replacement.role == "targets":
        bodies[roles.TARGETS] = body_of(state.targets)
    old_keys = [(state.root.signed, name) for name in _OF_ROOT[replacement.role]]
    if all(can_sign(trust, repository.keyring) for trust in old_keys):
        write_root(repository, apply(repository, state, Change(bodies, root)), root)
    else:
        # Nothing that readers see has changed yet, so `state` still is what the new root follows on.
        prepare(repository, state, Change(bodies), [root])
        write_root(repository, state, root)
    return repository.state()


def _root(state: State, replacement: Replacement) -> Root:
    root = copy.deepcopy(state.root.signed)
    for name in _OF_ROOT[replacement.role]:
        if replacement.old in root.roles[name].keyids:
            root.revoke_key(replacement.old, name)
            root.add_key(replacement.new.public, name)
    return root


def _delegations(state: State, replacement: Replacement) -> dict[str, Targets]:
    """Targets with the new key, and the roles that it has to sign anew."""
    targets = body_of(state.targets)
    changed: dict[str, Targets] = {roles.TARGETS: targets}
    for name in _roles_of(targets, replacement.old):
        targets.revoke_key(replacement.old, name)
        targets.add_key(replacement.new.public, name)
        if name in state.roles:
            changed[name] = body_of(state.roles[name])
    return changed


def _roles_of(targets: Targets, keyid: str) -> Sequence[str]:
    return [name for name in delegated(targets) if keyid in targets.get_delegated_role(name).keyids]
