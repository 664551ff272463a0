"""Whether verified metadata is taken: nothing older than what was seen before, and nothing that is out of date. Pure.

Floors are kept apart from the metadata itself, for whoever empties two files of that would have the box take what was
replayed. A floor holds as long as the metadata that set it would still be accepted: once the keys that signed it are
replaced it is void, so that who stole them and counted the versions up has locked nobody out (specification, 5.3.11).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from agent.remote.rules import Moment
from agent.update.errors import UpdateError
from contracts.documents import MachineModel, Sha256

LARGEST_VERSION = 2**53 - 1  # RFC 8259, section 6: what every JSON reader takes for the same integer

LARGEST_ROOT = 512_000  # bytes of a root's file; python-tuf's own limit

EARLIEST = dt.datetime(2026, 11, 1, tzinfo=dt.timezone.utc).timestamp()
"""Seconds since 1970; no box runs this code before, whatever its clock says. Moves on with releases."""

WARN_ONLINE = dt.timedelta(days=3)
"""Before which the end of timestamp and snapshot is an alarm: a server signs them anew by itself, several times in
that time."""

WARN_OFFLINE = dt.timedelta(days=30)
"""The same for all other roles: people sign them, with keys that lie in a safe."""

_ONLINE = ("timestamp", "snapshot")
_SEEN_STEP = 3600.0  # seconds that the time seen moves on before that alone is worth a write

Version = Annotated[int, Field(ge=1, le=LARGEST_VERSION)]


class RootFloor(MachineModel):
    """The newest root that was trusted."""

    version: Version
    sha256: Sha256


class Floor(MachineModel):
    """The highest version of a role that was seen.

    Attributes:
        version: of its metadata.
        keys: SHA-256 digests of the public keys whose signatures it bore.
    """

    version: Version
    keys: tuple[Sha256, ...]


class Floors(MachineModel):
    """What was seen so far, below which nothing is taken any more. Kept on disk.

    Attributes:
        revision: counts the writes of this record; of two copies the one with the higher is the newer.
        root: the newest root.
        roles: every other role whose metadata was verified.
        listed: role to the version that the newest snapshot lists; holds as long as the snapshot's own floor.
        seen: the latest time, in seconds since 1970, that was ever believed.
    """

    revision: int = Field(0, ge=0)
    root: RootFloor | None = None
    roles: dict[str, Floor] = Field(default_factory=dict)
    listed: dict[str, Version] = Field(default_factory=dict)
    seen: float = 0.0


@dataclass(frozen=True)
class Role:
    """A role's metadata whose signatures were verified.

    Args:
        version: of it.
        expires: when it is out of date.
        signers: digests of the public keys whose signatures are valid.
        accepted: digests of the public keys that may sign it now.
        threshold: how many of them have to.
    """

    version: int
    expires: dt.datetime
    signers: frozenset[str]
    accepted: frozenset[str]
    threshold: int


@dataclass(frozen=True)
class Seen:
    """Metadata that was verified.

    Args:
        roots: version to SHA-256, from the root that was trusted first to the newest.
        roles: by name, the newest root among them.
        listed: role to version, as the snapshot lists them.
    """

    roots: Mapping[int, str]
    roles: Mapping[str, Role]
    listed: Mapping[str, int]


def believed(moment: Moment, floors: Floors) -> float:
    """Seconds since 1970; never earlier than the wall clock.

    What is ahead only by mistake heals: it is never later than the end of what was taken, and the next metadata ends
    later.
    """
    return max(moment.wall, EARLIEST) if moment.trusted else max(moment.wall, floors.seen, EARLIEST)


def check_floors(seen: Seen, floors: Floors) -> None:
    """See that nothing is older than what was seen before.

    Raises:
        UpdateError: something is.
    """
    _check_root(seen, floors.root)
    for name, role in seen.roles.items():
        floor = _standing(name, role, floors)
        if floor is not None and role.version < floor.version:
            raise _rolled_back(name, str(role.version), floor.version)
    if "snapshot" in seen.roles and _standing("snapshot", seen.roles["snapshot"], floors):
        for name, version in floors.listed.items():
            if seen.listed.get(name, 0) < version:
                raise _rolled_back(f"{name} in the snapshot", str(seen.listed.get(name, "none")), version)


def check_time(seen: Seen, now: float) -> None:
    """See that nothing is out of date.

    Raises:
        UpdateError: something is.
    """
    for name, role in seen.roles.items():
        if role.expires.timestamp() <= now:
            raise UpdateError(
                "metadata_expired",
                f"expected metadata that is valid at {_text(now)}, the repository's {name} ended "
                f"{_text(role.expires.timestamp())}; have it signed anew",
            )


def raised(seen: Seen, floors: Floors, now: float) -> Floors:
    """The floors once this is taken; the same object where that changes nothing worth a write.

    Args:
        seen: what is taken; not below the floors.
        floors: so far.
        now: the time that is believed.
    """
    version = max(seen.roots)
    roles, listed = dict(floors.roles), dict(floors.listed)
    for name, role in seen.roles.items():
        if name != "root":
            roles[name] = Floor(version=role.version, keys=tuple(sorted(role.signers)))
    if "snapshot" in seen.roles:
        listed = dict(seen.listed)
    higher = Floors(
        revision=floors.revision + 1,
        root=RootFloor(version=version, sha256=seen.roots[version]),
        roles=roles,
        listed=listed,
        seen=now,
    )
    same = higher.model_copy(update={"revision": floors.revision, "seen": floors.seen}) == floors
    return floors if same and abs(now - floors.seen) < _SEEN_STEP else higher


def newest(copies: Iterable[Floors]) -> Floors:
    """The copy that was written last; empty floors where there is none."""
    return max(copies, key=lambda copy: copy.revision, default=Floors())


def expiry_warning(expiries: Mapping[str, dt.datetime], now: float) -> str | None:
    """What to say in time before metadata ends: `WARN_ONLINE` before for timestamp and snapshot, else `WARN_OFFLINE`.

    Args:
        expiries: role to when its metadata ends.
        now: seconds since 1970.

    Returns:
        A sentence with the roles that end soon or have ended, None where there are none.
    """
    soon = []
    for name, ends in sorted(expiries.items(), key=lambda one: one[1]):
        ahead = WARN_ONLINE if name in _ONLINE else WARN_OFFLINE
        if ends.timestamp() - now < ahead.total_seconds():
            verb = "ends" if ends.timestamp() > now else "ended"
            soon.append(f"{name} {verb} {_text(ends.timestamp())}")
    if not soon:
        return None
    return f"no model can be taken once the repository's metadata has ended ({', '.join(soon)}); have it signed anew"


def _standing(name: str, role: Role, floors: Floors) -> Floor | None:
    """A role's floor; None where there is none, or where the keys that set it would not be accepted any more."""
    floor = floors.roles.get(name)
    if floor is None or len(role.accepted & set(floor.keys)) < role.threshold:
        return None
    return floor


def _check_root(seen: Seen, floor: RootFloor | None) -> None:
    if floor is None:
        return
    if max(seen.roots) < floor.version:
        raise _rolled_back("root", str(max(seen.roots)), floor.version)
    came = seen.roots.get(floor.version)
    if came not in {None, floor.sha256}:
        raise UpdateError(
            "not_trusted",
            f"root version {floor.version} was trusted with digest {floor.sha256[:12]}, now it has {str(came)[:12]}; "
            "check update.server and the root file. Where the repository was set up anew on purpose, remove the "
            "folders update/metadata and update/trust of the state directory",
        )


def _rolled_back(what: str, came: str, floor: int) -> UpdateError:
    return UpdateError(
        "metadata_rollback",
        f"expected version {floor} of {what} or a later one, as that was seen before, got {came}; somebody gives "
        "older metadata than there is: check update.server and what is between, or bring the repository's newest "
        "metadata back",
    )


def _text(seconds: float) -> str:
    return dt.datetime.fromtimestamp(min(max(0.0, seconds), 253_402_300_799.0), dt.timezone.utc).strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )
