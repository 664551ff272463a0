"""Has other models count in a running agent, between two frames where they give the same kind of results."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from agent.camera_set import CameraSet
from agent.counting.clock import ClockWindow
from agent.counting.counted_model import CountedModel
from agent.counting.counter import KIND_OF_DECODER
from agent.counting.window import WindowCounts
from agent.engines.supply import EngineSupply
from agent.errands import Errands
from agent.model import RunningForm
from agent.slots import Slots
from agent.tuners import Tuners
from agent.tuning.ground import Ground
from agent.tuning.tuner import Served, Tuner
from agent.update.box import Opened
from agent.update.shadow import ShadowTap
from contracts.config import AgentConfig, CameraConfig
from contracts.errors import EdgetallyError
from contracts.facts import Facts
from contracts.model_spec import ModelSpec


@dataclass(frozen=True)
class Changeover:
    """The running agent as an update sees it; see `agent.update.box.Box`.

    Args:
        facts: the box's.
        current: tells the configuration that runs.
        slots: the models.
        cameras: those that run.
        tuners: who measures the models.
        errands: for the daemon's thread.
        window: gives the open window, with those closed that are over; called by that thread.
        commit: takes what a window adds up to of cameras that were closed; likewise.
        changed: told the slots that have another model; likewise.
    """

    facts: Facts
    current: Callable[[], AgentConfig]
    slots: Slots
    cameras: CameraSet
    tuners: Tuners
    errands: Errands
    window: Callable[[], ClockWindow]
    commit: Callable[[list[WindowCounts]], None]
    changed: Callable[[Sequence[str]], None]

    @property
    def config(self) -> AgentConfig:
        """See `Box`."""
        return self.current()

    @property
    def engines(self) -> EngineSupply:
        """See `Box`."""
        return self.slots.engines

    def ground(self, slot: str, folder: Path | None) -> Ground:
        """See `Box`."""
        return self.slots.ground(slot, folder)

    def measuring(self, ground: Ground, served: Served) -> Tuner:
        """See `Box`."""
        return self.tuners.ahead(ground, served)

    def counts_with(self) -> Mapping[str, Path]:
        """See `Box`."""
        return {name: slot.bundle.path for name, slot in self.slots.items()}

    def tap(self, slot: str, tap: ShadowTap | None) -> None:
        """See `Box`."""
        for unit in self.cameras.units:
            if unit.model == slot:
                unit.tap = tap

    def form(self, slot: str) -> RunningForm | None:
        """See `Box`."""
        return self.slots[slot].form()

    def reconsider(self, slot: str) -> None:
        """See `Box`."""
        self.slots[slot].serving.reconsider()

    def flip(self, models: Mapping[str, Opened]) -> Sequence[str]:
        """See `Box`."""
        with contextlib.ExitStack() as stack:
            for name in models:  # a choice under way may load a model: the daemon's thread does not wait for it
                stack.enter_context(self.slots[name].serving.held())
            return self.errands.run(partial(self._flip, models))

    def _flip(self, models: Mapping[str, Opened]) -> Sequence[str]:
        problems: list[str] = []
        done: list[str] = []
        try:
            for name, opened in models.items():
                problems += self._replace(name, opened)
                done.append(name)
        finally:
            self.changed(done)
        return problems

    def _replace(self, name: str, opened: Opened) -> list[str]:
        """Have a slot count with another bundle; returns which cameras do not open again."""
        slot, spec = self.slots[name], opened.ground.bundle.manifest.model
        if counts_alike(slot.spec, spec):
            slot.replace(opened.ground, opened.selection)
            for unit in self.cameras.units:
                if unit.model == name:
                    unit.follow_model(spec)
            return []
        self.commit(self.cameras.leave_model(name, self.window()))
        problems: list[str] = []
        try:
            slot.replace(opened.ground, opened.selection)
        finally:
            config = self.current()
            for camera in (one for one in config.camera if one.model == name):  # also who could not be opened before
                problems += self._opened(camera)
            self.cameras.sort([camera.id for camera in config.camera])
        return problems

    def _opened(self, camera: CameraConfig) -> list[str]:
        """Open a camera; returns why it cannot be, where it cannot."""
        try:
            self.cameras.open([camera])
        except EdgetallyError as error:
            return [str(error)]
        return []


def counts_alike(one: ModelSpec, other: ModelSpec) -> bool:
    """Whether cameras go on without a gap: both take the same frames, and give results that are counted alike."""
    return (
        one.input.geometry == other.input.geometry
        and KIND_OF_DECODER.get(one.output.decoder) == KIND_OF_DECODER.get(other.output.decoder)
        and one.labels == other.labels
        and CountedModel.of(one).heads == CountedModel.of(other).heads
    )
