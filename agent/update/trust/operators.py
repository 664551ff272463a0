"""The operators' keys as the repository names them, where those who open signed documents look for them."""

from __future__ import annotations

import json

from agent.disk import Disk
from agent.remote.signing import KEYS_NAME
from contracts.desired import OperatorKeys


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
