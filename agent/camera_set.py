"""The cameras that run: they come, change and go while the others are counted."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Sequence

from agent.camera_unit import CameraUnit, SourceOpener
from agent.cameras.table import open_source
from agent.counting.clock import ClockWindow
from agent.counting.window import WindowCounts
from agent.remote.plan import Plan
from agent.slots import Slots
from contracts.config import CameraConfig
from contracts.desired import WrongField
from contracts.errors import EdgetallyError

_log = logging.getLogger(__name__)

_FINISH_SECONDS = 0.5  # that frames under way get when their camera goes


class CameraSet:
    """All cameras. For one thread, apart from `units`.

    Args:
        slots: the models that count them.
        device: the box's id.
        opener: opens the cameras' sources.

    Attributes:
        units: the cameras in the order of the configuration; another tuple after each change.
    """

    def __init__(self, slots: Slots, device: str, opener: SourceOpener = open_source) -> None:
        self._slots = slots
        self._device = device
        self._opener = opener
        self._leaving: list[CameraUnit] = []
        self.units: tuple[CameraUnit, ...] = ()

    def open(self, cameras: Sequence[CameraConfig]) -> None:
        """Open these too, in their own threads.

        Raises:
            DocumentError: a camera asks for what its model cannot give; none of these is opened.
        """
        units = [self._unit(camera) for camera in cameras]
        self.units += tuple(units)
        for unit in units:
            self._slots[unit.model].pool.add(unit.stream)
            unit.start()

    def follow(self, plan: Plan, window: ClockWindow) -> tuple[list[WindowCounts], list[WrongField]]:
        """Do what a plan says of cameras; those that it does not name go on without losing a frame.

        Args:
            plan: what changes.
            window: the open one.

        Returns:
            What the open window adds up to so far of the cameras that changed or went; and what could not be done.
        """
        units = {unit.id: unit for unit in self.units}
        names = [*plan.stop, *(camera.id for camera in plan.restart)]
        gone = [units[name] for name in names if name in units]  # one that could not be opened is not there
        counts = [self._let_go(unit, window) for unit in gone]
        self.units = tuple(unit for unit in self.units if unit not in gone)
        wrong: list[WrongField] = []
        for camera in (one for one in plan.change if one.id in units):
            with _noted(camera, wrong):
                counts.append(self._change(units[camera.id], camera, window))
        for camera in (*plan.restart, *plan.start, *(one for one in plan.change if one.id not in units)):
            with _noted(camera, wrong):
                self.open([camera])
        self.sort([camera.id for camera in plan.new.camera])
        return counts, wrong

    def sort(self, order: Sequence[str]) -> None:
        """Have the cameras in this order of their ids."""
        self.units = tuple(sorted(self.units, key=lambda unit: order.index(unit.id)))

    def leave_model(self, name: str, window: ClockWindow) -> list[WindowCounts]:
        """Close the cameras of a slot whose model is to be one that wants other frames, or gives other results.

        Frames are lost until they are opened again.

        Args:
            name: the slot.
            window: the open one.

        Returns:
            What the open window adds up to so far of them.
        """
        gone = [unit for unit in self.units if unit.model == name]
        counts = [self._let_go(unit, window) for unit in gone]
        self.units = tuple(unit for unit in self.units if unit not in gone)
        return counts

    def look(self, now: float) -> None:
        """Notice what stopped; ``now`` in monotonic seconds."""
        for unit in self.units:
            unit.look(now, served=self._slots[unit.model].serves)

    def close_window(self, window: ClockWindow, but: Sequence[str] = ()) -> list[WindowCounts]:
        """What the window that ended adds up to, of all cameras but these."""
        return [unit.close_window(window) for unit in self.units if unit.id not in but]

    def problems(self) -> list[WrongField]:
        """What does not run, by its place in agent.toml."""
        found = ((unit.id, unit.problem) for unit in self.units)
        return [WrongField(path=f"camera.{name}.source", problem=problem) for name, problem in found if problem]

    @property
    def ended(self) -> bool:
        """Whether every source has ended and all its frames are counted."""
        return all(unit.ended for unit in self.units)

    def close(self, timeout: float) -> None:
        """Let go of all, at once: many that hang must not add up; twice is harmless.

        Args:
            timeout: seconds for all together; those that hang end later by themselves.
        """
        deadline = time.monotonic() + timeout
        units = (*self.units, *self._leaving)
        for unit in units:
            unit.close(0.0)
        for unit in units:
            unit.close(max(0.0, deadline - time.monotonic()))

    def _unit(self, camera: CameraConfig) -> CameraUnit:
        slot = self._slots[camera.model]
        return CameraUnit(camera, slot.spec, slot.ready, self._device, self._opener)

    def _change(self, unit: CameraUnit, camera: CameraConfig, window: ClockWindow) -> WindowCounts:
        counts = unit.change(camera, window.cut(time.monotonic()))
        self._slots[unit.model].pool.add(unit.stream)
        return counts

    def _let_go(self, unit: CameraUnit, window: ClockWindow) -> WindowCounts:
        unit.close(0.0)
        self._slots[unit.model].pool.remove(unit.stream)
        if not unit.stream.wait_idle(_FINISH_SECONDS):
            _log.warning("camera %s: its last frames did not come out of the lanes in time; not counted", unit.id)
        unit.close(_FINISH_SECONDS)  # so that a device may be opened again; who hangs is waited for no longer
        self._leaving = [one for one in self._leaving if not one.gone] + [unit]
        return unit.close_window(window.cut(time.monotonic()), everything=True)


@contextlib.contextmanager
def _noted(camera: CameraConfig, wrong: list[WrongField]) -> Iterator[None]:
    """What one camera cannot do is noted, and holds up no other."""
    try:
        yield
    except EdgetallyError as error:
        wrong.append(WrongField(path=f"camera.{camera.id}", problem=str(error)))
