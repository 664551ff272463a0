"""Signing metadata with the keys that those who delegate to it ask for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp
from tuf.api.serialization.json import JSONSerializer

from fleet.publishing import roles
from fleet.publishing.errors import KeysMissingError, ReleaseError
from fleet.publishing.keys import Keyring

Body = TypeVar("Body", Root, Timestamp, Snapshot, Targets)

Trust = tuple[Root | Targets, str]
"""Who says which keys sign, and for which of its roles."""

_LARGEST = {  # bytes; what python-tuf's client takes at the most
    roles.ROOT: 512_000,
    roles.TIMESTAMP: 16_384,
    roles.SNAPSHOT: 2_000_000,
    roles.TARGETS: 5_000_000,
}
_WHERE = {
    roles.ROOT: "name the folder of the root keys with --root-keys; it may be given more than once",
    roles.TARGETS: "this step needs the targets key: name its folder with --keys or --root-keys",
}


def signed(body: Body, trusts: Sequence[Trust], keyring: Keyring) -> bytes:
    """Metadata as a file, with enough signatures for everyone who has to trust it.

    Args:
        body: what is signed.
        trusts: all of them have to accept it: the old and the new root, while keys change.
        keyring: the keys at hand; all that fit sign.

    Raises:
        KeysMissingError: they are too few.
        KeyFileError: one cannot be opened.
        ReleaseError: it is larger than a box takes.
    """
    metadata = Metadata(body)
    for delegator, role in trusts:
        check_keys(delegator, role, keyring)
        for keyid in delegator.get_delegated_role(role).keyids:
            signer = keyring.signer(keyid)
            if signer is not None:
                metadata.sign(signer, append=True)
    data = metadata.to_bytes(JSONSerializer(compact=True))
    largest = _LARGEST[body.type]
    if len(data) > largest:
        raise ReleaseError(
            f"the {body.type} metadata would have {len(data)} bytes, boxes take {largest}; publish under a new name"
        )
    return data


def check_keys(delegator: Root | Targets, role: str, keyring: Keyring) -> None:
    """See whether enough keys of a role are at hand.

    Raises:
        KeysMissingError: they are too few.
    """
    wanted = delegator.get_delegated_role(role)
    missing = [keyid for keyid in wanted.keyids if not keyring.has_private(keyid)]
    if len(wanted.keyids) - len(missing) < wanted.threshold:
        raise KeysMissingError(
            role,
            wanted.threshold,
            [keyring.name_of(keyid) for keyid in missing],
            [str(folder) for folder in keyring.folders],
            _WHERE.get(role, "name the folder of the keys with --keys"),
        )


def can_sign(trust: Trust, keyring: Keyring) -> bool:
    """Whether enough keys of a role are at hand."""
    try:
        check_keys(*trust, keyring)
    except KeysMissingError:
        return False
    return True
