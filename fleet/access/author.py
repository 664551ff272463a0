"""Who a person at the command line is, for the audit log."""

from __future__ import annotations

import getpass
import os

from fleet.inventory.reading import clean
from fleet.store.audit import Author

_LONGEST = 64


def cli_author() -> Author:
    """The user of this process, as the system calls them."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a user without a name, in a container say
        name = f"uid {os.getuid()}"
    return Author(clean(name)[:_LONGEST], "cli")
