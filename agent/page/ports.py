"""What the page needs of the agent. The page knows no more of it than this."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import model_validator
from typing_extensions import Self

from agent.counting.counter import KIND_OF_DECODER, Kind
from agent.counting.gaps import longest_gap
from contracts.addresses import shown
from contracts.config import CameraConfig, LineConfig, ZoneConfig
from contracts.documents import Id, MachineModel, WrittenModel
from contracts.health import Health
from contracts.messages import CameraState, FactsMessage
from contracts.model_spec import ModelSpec
from runtime.results import Picture, Result

_MOST_THINGS = 64  # lines, and zones, of a camera
_MOST_CORNERS = 64  # of a zone; whether it crosses itself is looked at for each pair of its edges


@dataclass(frozen=True)
class Look:
    """The last frame of a camera that was counted, and what the model saw in it.

    Args:
        image: uint8 ``(height, width, 3)`` BGR, without padding around it; it is not written to, now or later.
        aspect: width over height as the camera sees it; the image may be stretched.
        sequence: the frame's number.
        taken_at: seconds since 1970.
        result: what the model saw; None where it was not asked.
        labels: the model's.
        score: detections below it are not drawn.
        camera: its id.
    """

    image: Picture
    aspect: float
    sequence: int
    taken_at: float
    result: Result | None
    labels: Sequence[str]
    score: float = 0.0
    camera: str = field(kw_only=True)


class WatchedCamera(MachineModel):
    """What a camera is asked to count, as it runs now.

    ``labels`` are the model's; ``gap`` is how many seconds one frame may stand for.
    """

    id: Id
    source: str
    labels: tuple[str, ...]
    gives: Kind
    gap: float
    line: tuple[LineConfig, ...] = ()
    zone: tuple[ZoneConfig, ...] = ()

    @classmethod
    def of(cls, camera: CameraConfig, spec: ModelSpec) -> Self:
        """What the page is told of a camera: no credentials.

        Args:
            camera: as it runs.
            spec: of the model that counts it, one that `open_counter` takes.
        """
        return cls(
            id=camera.id,
            source=shown(camera.source),
            labels=tuple(spec.labels),
            gives=KIND_OF_DECODER[spec.output.decoder],
            gap=longest_gap(camera),
            line=camera.line,
            zone=camera.zone,
        )


class AgentState(MachineModel):
    """Everything that the page shows, at one moment."""

    version: str
    boot_id: str
    watched: tuple[WatchedCamera, ...]
    cameras: dict[str, CameraState]
    health: Health
    facts: FactsMessage


class CameraProposal(WrittenModel):
    """Where a camera's lines and zones should lie; it replaces all of them.

    At most 64 lines, 64 zones and 64 corners of a zone.
    """

    camera: Id
    line: tuple[LineConfig, ...] = ()
    zone: tuple[ZoneConfig, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _is_small(cls, data: Mapping[str, Any]) -> Mapping[str, Any]:
        for name in ("line", "zone"):
            things = data.get(name, ())
            if not isinstance(things, list | tuple):
                continue
            if len(things) > _MOST_THINGS:
                raise ValueError(f"'{name}' should hold at most {_MOST_THINGS}, got {len(things)}")
            for thing in things:
                corners = thing.get("polygon") if isinstance(thing, dict) else None
                if isinstance(corners, list | tuple) and len(corners) > _MOST_CORNERS:
                    raise ValueError(f"a zone should have at most {_MOST_CORNERS} corners, got {len(corners)}")
        return data

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        for what, names in (("line", [one.name for one in self.line]), ("zone", [one.name for one in self.zone])):
            doubled = next((name for name in names if names.count(name) > 1), None)
            if doubled is not None:
                raise ValueError(f"{what} names should differ, {doubled!r} stands more than once")
        return self


@dataclass(frozen=True)
class ProposalOutcome:
    """What became of a change.

    Args:
        problems: what stands against it, a sentence each; nothing was changed then.
        note: what is to be known although it was taken; empty where it runs as it was drawn.
    """

    problems: tuple[str, ...] = ()
    note: str = ""


class Snapshots(Protocol):
    """The cameras' last pictures. Called from the page's thread, and only while someone looks."""

    def picture(self, camera: str) -> Look | None:
        """The camera's last look; None where there is no such camera, or none yet. Returns at once."""


class State(Protocol):
    """How the agent is. Called from the page's thread, at most about twice a second."""

    def read(self) -> AgentState:
        """Everything that the page shows.

        Raises:
            EdgetallyError: it cannot be told now.
        """


class Proposals(Protocol):
    """Takes changes that were drawn on the page. Called from the page's thread, for one caller at a time."""

    def propose(self, proposal: CameraProposal) -> ProposalOutcome:
        """Hand a change over, and wait a moment for what becomes of it."""


Redact = Callable[[Look], Picture]
"""Makes of a look what may be shown: an image of the same size, a new one where anything is hidden.

Where it fails nothing is shown."""


def as_it_is(look: Look) -> Picture:
    """Hides nothing."""
    return look.image


@dataclass(frozen=True)
class Ports:
    """All that the page needs of the agent."""

    state: State
    snapshots: Snapshots
    proposals: Proposals
    redact: Redact = as_it_is
