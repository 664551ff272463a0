"""The serial number of a board, by which a fleet knows it before it has a name."""

from __future__ import annotations

from pathlib import Path

from agent.tree import read_text

_PLACES = ("proc/device-tree/serial-number", "sys/class/dmi/id/product_serial", "sys/class/dmi/id/board_serial")
_LONGEST = 128
_FILLED_IN_BY_NOBODY = frozenset(
    {"0", "none", "not specified", "default string", "to be filled by o.e.m.", "system serial number", "unknown"}
)


def board_serial(root: Path = Path("/")) -> str | None:
    """The serial number, as its maker gave it; None where the board tells none, or root alone may read it.

    Args:
        root: of the file tree.
    """
    for place in _PLACES:
        text = read_text(root / place).strip("\0\n\t ")[:_LONGEST]
        if text and text.isprintable() and text.lower() not in _FILLED_IN_BY_NOBODY and set(text) != {"0"}:
            return text
    return None
