"""What remote configuration needs from the daemon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from agent.remote.plan import Plan
from contracts.desired import RunningModel, WrongField
from contracts.update import UpdateReport


@dataclass(frozen=True)
class Running:
    """How what was applied last does.

    Args:
        connected: whether the broker has accepted a connection with the settings that were applied last.
        problems: what does not run, by its path in agent.toml (``camera.gate.source``).
        model_revision: of the models that run, None where no document chose them.
        models: what each slot runs.
        update: the newest attempt to change them.
    """

    connected: bool
    problems: Sequence[WrongField] = ()
    model_revision: int | None = None
    models: Mapping[str, RunningModel] = field(default_factory=dict)
    update: UpdateReport | None = None


class Applier(Protocol):
    """Makes a configuration run; the daemon is one. Both are called by the thread that calls `RemoteConfig.turn`."""

    def apply(self, plan: Plan) -> Sequence[WrongField]:
        """Do what the plan says; returns once it is under way, without waiting for cameras or the broker.

        Returns:
            What cannot run at all, by its path in agent.toml; the rest of the plan is done all the same.
        """

    def running(self) -> Running:
        """How it does now."""
