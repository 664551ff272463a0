"""What ends an attempt to change the models, or has it wait."""

from __future__ import annotations

import errno

from contracts.errors import EdgetallyError, ServerError, StorageError
from contracts.update import UpdateCode


class UpdateError(EdgetallyError):
    """An attempt cannot go on.

    Args:
        code: why; `agent.update.rules.end_of` says which end of the attempt it is.
        reason: that in words, with what to do.
    """

    def __init__(self, code: UpdateCode, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(reason)


class UpdateWaitsError(EdgetallyError):
    """A step cannot be done yet; it is done again later.

    Args:
        reason: what it waits for.
        seconds: after which it is worth another try.
        code: how the attempt ends where it waits for longer than the box's patience.
    """

    def __init__(self, reason: str, seconds: float, code: UpdateCode = "held_too_long") -> None:
        self.reason = reason
        self.seconds = seconds
        self.code = code
        super().__init__(reason)


class UpdateStoppedError(EdgetallyError):
    """The agent ends, or the attempt is taken back, while a step is under way; it is no failure of the step."""


class WrongAnswerError(ServerError):
    """Somebody answers, but with something else than was asked for; another mirror may do better."""


def storage_problem(error: StorageError) -> UpdateError:
    """What a disk that cannot be written means for an update."""
    return UpdateError("no_space" if error.errno in {errno.ENOSPC, errno.EDQUOT} else "storage", str(error))
