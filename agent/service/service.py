"""A run of the agent as a service: its manager hears how it does, and what it ran with is kept once that has lasted."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from typing_extensions import Self

from agent.service.heart import Heart, Pulse
from agent.service.last_good import LASTS_SECONDS, Choice, LastGood, find_last_good
from agent.service.manager import Nobody, ServiceManager, find_manager


class Watched(Protocol):
    """What runs; `agent.daemon.Daemon`."""

    turned: Callable[[float], None]

    def pulse(self, now: float) -> Pulse:
        """How it does."""


class Service:
    """See above. `stopping` is for a signal's handler too, the rest for one thread.

    Args:
        manager: who started it.
        last_good: keeps the file; None where nothing is kept.
        choice: what is run; None where that is nobody's choice.
        lasts: seconds after which a start has lasted.
    """

    def __init__(
        self,
        manager: ServiceManager | None = None,
        last_good: LastGood | None = None,
        choice: Choice | None = None,
        lasts: float = LASTS_SECONDS,
    ) -> None:
        self._manager = manager or Nobody()
        self._last_good = last_good
        self._choice = choice
        self._lasts = lasts
        self._heart: Heart | None = None
        self._begun: float | None = None

    @classmethod
    def of_environment(cls, config: Path, environment: Mapping[str, str] = os.environ) -> Self:
        """The service that this process is, by the variables that its manager set.

        Args:
            config: agent.toml.
            environment: of the process.
        """
        last_good = find_last_good(environment, config)
        choice = Choice(config) if last_good is None else last_good.choose()
        return cls(find_manager(environment), last_good, choice)

    @property
    def config(self) -> Path:
        """The file to run."""
        assert self._choice is not None, "asked of a service that was found"
        return self._choice.path

    @property
    def problems(self) -> tuple[str, ...]:
        """What somebody has to see to about the file that is run."""
        note = None if self._choice is None else self._choice.note
        return () if note is None else (note,)

    def watch(self, daemon: Watched) -> None:
        """Follow a daemon that is about to start."""
        self._heart = Heart(self._manager, daemon.pulse, next(iter(self.problems), None))
        daemon.turned = self._turned

    def stopping(self) -> None:
        """The end begins."""
        if self._heart is not None:
            self._heart.stop()

    def ended_well(self) -> None:
        """It was told to end, and did."""
        if self._last_good is not None:
            self._last_good.ended_well()

    def _turned(self, now: float) -> None:
        assert self._heart is not None
        self._heart.beat(now)
        self._begun = now if self._begun is None else self._begun
        if self._last_good is not None and now - self._begun >= self._lasts:
            self._last_good.lasted()
