"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agent.rpc.ports import Trial
from contracts.documents import without_credentials
from contracts.errors import EdgetallyError

Level = Literal["ok", "unknown", "warning", "wrong"]
"""``unknown``: nobody can tell from here. ``warning``: it counts, and something will hurt. ``wrong``: it does not."""

EXIT_CODES: dict[Level, int] = {"ok": 0, "unknown": 0, "warning": 3, "wrong": 2}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        what: its name.
        level: how it is.
        text: what was found, or what is wrong.
        do: the command that mends it; None where there is no one command.
    """

    what: str
    level: Level
    text: str
    do: str | None = None


def of_trial(trial: Trial, do: str | None = None, *, level: Level = "wrong") -> Finding:
    """What a part of the self-test over MQTT finds; see `agent.rpc.selftest`.

    Args:
        trial: is run.
        do: the command that mends it where it fails.
        level: of its failing.
    """
    try:
        found = trial.run()
    except EdgetallyError as error:
        return failed(trial.part, error, do, level=level)
    if found.passed:
        return Finding(trial.part, "ok", found.text)
    return Finding(trial.part, "unknown" if found.passed is None else level, found.text, do)


def failed(what: str, error: EdgetallyError, do: str | None = None, *, level: Level = "wrong") -> Finding:
    """What an error says, without credentials."""
    return Finding(what, level, without_credentials(str(error)), do)
