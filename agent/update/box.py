"""What the steps of an update need of the running agent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agent.engines.supply import EngineSupply
from agent.model import RunningForm, Selection
from agent.tuning.ground import Ground
from agent.tuning.tuner import Served
from agent.update.shadow import ShadowTap
from contracts.config import AgentConfig
from contracts.facts import Facts


@dataclass(frozen=True)
class Opened:
    """A model that is loaded and proven beside the one that counts.

    Args:
        ground: its bundle.
        selection: what was chosen of it.
    """

    ground: Ground
    selection: Selection

    def close(self) -> None:
        """Let go of it, where it does not take over."""
        if self.selection.model is not None:
            self.selection.model.close()


class Measuring(Protocol):
    """Measures a bundle in a thread of its own; `agent.tuning.tuner.Tuner`."""

    @property
    def share(self) -> float:
        """Of the work that is done, 0 to 1."""

    def start(self) -> None:
        """Begin to wait for a good moment."""

    def wait(self, seconds: float) -> bool:
        """Wait for its end; whether it came."""

    def stop(self, timeout: float) -> None:
        """Measure no more."""


class Box(Protocol):
    """The running agent; every method may be called by the thread of the update."""

    @property
    def facts(self) -> Facts:
        """The box's."""

    @property
    def config(self) -> AgentConfig:
        """The configuration that runs now."""

    @property
    def engines(self) -> EngineSupply:
        """The box's."""

    def ground(self, slot: str, folder: Path | None) -> Ground:
        """What there is of a bundle for a slot; None for the one that agent.toml names.

        Raises:
            BundleError: it cannot be opened.
        """

    def measuring(self, ground: Ground, served: Served) -> Measuring:
        """Who measures a bundle that does not count yet, in turn with those that do; to be started and stopped.

        Args:
            ground: the bundle.
            served: stands for it.
        """

    def counts_with(self) -> Mapping[str, Path]:
        """Slot to the folder of the bundle that it runs."""

    def tap(self, slot: str, tap: ShadowTap | None) -> None:
        """Have the frames that a slot's cameras are counted on left for another model too; None for no longer."""

    def form(self, slot: str) -> RunningForm | None:
        """What counts in a slot; None while nothing does."""

    def reconsider(self, slot: str) -> None:
        """Have a slot choose anew among the artifacts of its bundle; what serves goes on where nothing better works."""

    def flip(self, models: Mapping[str, Opened]) -> Sequence[str]:
        """Have these count, all between two turns of the daemon; what they replace is closed.

        Returns:
            What of it did not go as it should have, in words: a camera that does not open again.

        Raises:
            EdgetallyError: one cannot take over; those before it did.
        """
