"""Telling how far long work is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Told what is being done, and how many bytes or files of how many are done."""


def silent(_what: str, _done: int, _total: int) -> None:
    """Tells nobody."""
