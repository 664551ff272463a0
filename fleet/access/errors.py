"""What keeps a change from being made, though it was well written."""

from __future__ import annotations

from collections.abc import Mapping

from contracts.errors import WrittenError


class ConflictError(WrittenError):
    """Something is not as who asked for the change thought it was.

    Args:
        message: what was expected, what is there, what to do.
        current: how it is now, without secrets.
    """

    def __init__(self, message: str, current: Mapping[str, object]) -> None:
        self.current = dict(current)
        super().__init__(message)
