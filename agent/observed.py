"""What the local page is told of the running agent, and what it may ask of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.camera_unit import CameraUnit
from agent.ledger import Ledger
from agent.page.ports import AgentState, CameraProposal, Look, Ports, Redact, WatchedCamera
from contracts.config import AgentConfig
from contracts.messages import FactsMessage, Health
from contracts.model_spec import ModelSpec
from contracts.version import VERSION


@dataclass(frozen=True)
class Observed:
    """The running agent, as the page's thread reads it.

    Args:
        config: all settings.
        spec: of the model.
        boot_id: of this run.
        units: the cameras.
        ledger: committed totals.
        health: tells how it runs.
        facts: tells what the box is and what was considered.
        wall: seconds since 1970.
        redact: makes of a picture what may be shown.
    """

    config: AgentConfig
    spec: ModelSpec
    boot_id: str
    units: Sequence[CameraUnit]
    ledger: Ledger
    health: Callable[[], Health]
    facts: Callable[[], FactsMessage]
    wall: Callable[[], float]
    redact: Redact

    def ports(self) -> Ports:
        """All that the page needs."""
        return Ports(state=self, snapshots=self, proposals=self, redact=self.redact)

    def read(self) -> AgentState:
        """See `agent.page.ports.State`."""
        wall, totals = self.wall(), self.ledger.totals
        return AgentState(
            version=VERSION,
            boot_id=self.boot_id,
            watched=tuple(WatchedCamera.of(camera, self.spec) for camera in self.config.camera),
            cameras={unit.id: unit.state(totals, wall) for unit in self.units},
            health=self.health(),
            facts=self.facts(),
        )

    def picture(self, camera: str) -> Look | None:
        """See `agent.page.ports.Snapshots`."""
        return next((unit.look_at() for unit in self.units if unit.id == camera), None)

    def propose(self, proposal: CameraProposal) -> Sequence[str]:
        """See `agent.page.ports.Proposals`: what is drawn has to be written into agent.toml so far."""
        problem = (
            "this agent takes no changes while it runs; write the lines and zones into agent.toml and start it again"
        )
        return [f"camera {proposal.camera!r}: {problem}"]
