"""The operators' keys as the repository names them, where those who open signed documents look for them."""

from __future__ import annotations

import json

from agent.disk import Disk
from agent.remote.signing import KEYS_NAME
from contracts.desired import OperatorKeys

NONE_NAME = "no-operator-keys"
"""Below the state directory: signed metadata was read, and it names nobody who signs desired documents."""


def note_no_operators(disk: Disk) -> bool:
    """Have it known that the metadata which was read names no operators; keys that were named once stay.

    Args:
        disk: the state directory.

    Returns:
        Whether that is news.

    Raises:
        StorageError: it could not be written.
    """
    if any((disk.directory / name).exists() for name in (KEYS_NAME, NONE_NAME)):
        return False
    disk.replace(NONE_NAME, b"")
    return True


def write_operator_keys(disk: Disk, keys: OperatorKeys) -> bool:
    """Have a folder's ``operator-keys.json`` name these keys and no others.

    A key that is not among them is accepted no more: `agent.remote.signing.load_keys` reads the file with every
    document.

    Args:
        disk: the folder.
        keys: all that are accepted from now on.

    Returns:
        Whether that changed anything.

    Raises:
        StorageError: it could not be written; the keys before are accepted.
    """
    data = json.dumps(keys.model_dump(mode="json")["keys"], indent=2, sort_keys=True).encode() + b"\n"
    try:
        if disk.read(KEYS_NAME) == data:
            return False
    except OSError:  # what cannot be read is replaced
        pass
    disk.replace(KEYS_NAME, data)
    return True
