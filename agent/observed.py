"""What the local page is told of the running agent, and what it may ask of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agent.camera_set import CameraSet
from agent.drawn import DrawnChanges
from agent.ledger import Ledger
from agent.page.ports import AgentState, Look, Ports, Redact, WatchedCamera
from contracts.health import Health
from contracts.messages import FactsMessage
from contracts.model_spec import ModelSpec
from contracts.version import VERSION


@dataclass(frozen=True)
class Observed:
    """The running agent, as the page's thread reads it.

    Args:
        specs: tells those of the models by name.
        boot_id: of this run.
        cameras: those that run.
        ledger: committed totals.
        drawn: takes changes.
        health: tells how it runs.
        facts: tells what the box is and what was considered.
        wall: seconds since 1970.
        redact: makes of a picture what may be shown.
    """

    specs: Callable[[], Mapping[str, ModelSpec]]
    boot_id: str
    cameras: CameraSet
    ledger: Ledger
    drawn: DrawnChanges
    health: Callable[[], Health]
    facts: Callable[[], FactsMessage]
    wall: Callable[[], float]
    redact: Redact

    def ports(self) -> Ports:
        """All that the page needs."""
        return Ports(state=self, snapshots=self, proposals=self.drawn, redact=self.redact)

    def read(self) -> AgentState:
        """See `agent.page.ports.State`."""
        wall, totals, units, specs = self.wall(), self.ledger.totals, self.cameras.units, self.specs()
        return AgentState(
            version=VERSION,
            boot_id=self.boot_id,
            watched=tuple(WatchedCamera.of(unit.camera, specs[unit.model]) for unit in units),
            cameras={unit.id: unit.state(totals, wall) for unit in units},
            health=self.health(),
            facts=self.facts(),
        )

    def picture(self, camera: str) -> Look | None:
        """See `agent.page.ports.Snapshots`."""
        return next((unit.look_at() for unit in self.cameras.units if unit.id == camera), None)
