"""What really happened, whatever the controller thinks: noted by the boxes themselves."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field

from agent.update.rules import Attempt
from contracts.update import UpdateState
from tools.fleet_sim.scenario import Fate

_Order = tuple[int, int, int]
_NOT_TAKEN: frozenset[UpdateState] = frozenset({"rolled_back", "rollback_failed", "rejected", "failed"})
"""Ends after which a box rightly does not run what its document asks for."""


@dataclass
class BoxTruth:
    """One box; times are milliseconds since 1970 by the scenario's clock, None where it never happened.

    Args:
        device: its id.
        hardware_class: its class.
        fate: what the new model does to it.
        running: manifest of what counts now; None where nothing does.
        online: whether it is connected.
        away: whether it was cut off by the scenario; a box that is neither is lost.
        activated_ms: when the new model counted first.
        harmed_ms: when it did its harm first.
        ended_ms: when the newest attempt ended.
        end: how.
        ended_for: the epoch and models' revision that the attempt was for.
        wanted: manifest that the newest document that was taken asks for; None where none did.
        wanted_by: that document's epoch and models' revision.
        came_ms: when documents came.
        states: states of updates: when, which, and its code.
        documents: digest of each part of documents by what it is, its epoch and its revision.
        newest: epoch, configuration's and models' revision of the newest.
        problems: what must never be.
    """

    device: str
    hardware_class: str
    fate: Fate
    running: str | None
    online: bool = False
    away: bool = False
    activated_ms: int | None = None
    harmed_ms: int | None = None
    ended_ms: int | None = None
    end: UpdateState | None = None
    ended_for: tuple[int, int] | None = None
    wanted: str | None = None
    wanted_by: tuple[int, int] | None = None
    came_ms: list[int] = field(default_factory=list)
    states: list[tuple[int, UpdateState, str | None]] = field(default_factory=list)
    documents: dict[tuple[str, int, int], bytes] = field(default_factory=dict)
    newest: _Order = (0, 0, 0)
    problems: list[str] = field(default_factory=list)

    def got(self, order: _Order, document: Mapping[str, object]) -> None:
        """A document came.

        Args:
            order: its epoch, its configuration's and its models' revision.
            document: the whole of it, but for its signature.
        """
        for part, revision in (("config", order[1]), ("models", order[2])):
            text = json.dumps(document.get(part) or {}, sort_keys=True)
            digest = hashlib.sha256(text.encode()).digest()
            if self.documents.setdefault((part, order[0], revision), digest) != digest:
                self.problems.append(f"two documents under {order}: other {part}")
        fell = order[0] == self.newest[0] and (order[1] < self.newest[1] or order[2] < self.newest[2])
        if fell or order[0] < self.newest[0]:
            self.problems.append(f"{order} came after {self.newest}")
        self.newest = max(order, self.newest)

    def activated(self, at_ms: int, *, harms: bool) -> None:
        """The new model counts."""
        if self.activated_ms is None:
            self.activated_ms = at_ms
        if harms:
            self.harmed(at_ms)

    def harmed(self, at_ms: int) -> None:
        """The new model does its harm."""
        if self.harmed_ms is None:
            self.harmed_ms = at_ms

    def entered(self, at_ms: int, attempt: Attempt) -> None:
        """An update is in another state, perhaps its last."""
        self.states.append((at_ms, attempt.state, attempt.code))
        if attempt.is_over:
            self.ended_ms, self.end, self.ended_for = at_ms, attempt.state, attempt.wish.document

    def document(self) -> dict[str, object]:
        """As JSON has it."""
        return asdict(self) | {"documents": len(self.documents)}

    @property
    def is_settled(self) -> bool:
        """Whether it runs what its newest document asks for, or that document's own attempt ended without it."""
        if self.wanted in {None, self.running}:
            return True
        return self.ended_for == self.wanted_by and self.end in _NOT_TAKEN


def problems(boxes: Iterable[BoxTruth]) -> list[str]:
    """What holds for every fleet and does not here, in words; to be asked once nothing moves any more.

    What boxes run that the scenario cut off need not be what they should.
    """
    found: list[str] = []
    for box in boxes:
        found += [f"{box.device}: {problem}" for problem in box.problems]
        if not box.away and not box.online:
            found.append(f"{box.device}: it is lost, though nothing cut it off")
        if not box.away and not box.is_settled:
            found.append(f"{box.device}: runs {box.running}, its document asks for {box.wanted}, it ended {box.end}")
        if box.fate == "good" and box.end in {"rolled_back", "rollback_failed"}:
            found.append(f"{box.device}: it ended {box.end}, though the model does it no harm")
    return found


@dataclass(frozen=True)
class Harm:
    """What the new model did.

    Args:
        exposed: boxes whose cameras it counted, at any time.
        harmed: of them, those that it did harm to.
        harmed_before: of them, those before a time.
        first_ms: when the first one was harmed; None where none was.
        by_class: harmed boxes by hardware class.
    """

    exposed: int
    harmed: int
    harmed_before: int
    first_ms: int | None
    by_class: Mapping[str, int]


def harm(boxes: Iterable[BoxTruth], until_ms: int | None) -> Harm:
    """What it did; until a time, where one is given, or for all time."""
    every = list(boxes)
    times = [box.harmed_ms for box in every if box.harmed_ms is not None]
    return Harm(
        exposed=sum(box.activated_ms is not None for box in every),
        harmed=len(times),
        harmed_before=sum(until_ms is None or at_ms <= until_ms for at_ms in times),
        first_ms=min(times, default=None),
        by_class=Counter(box.hardware_class for box in every if box.harmed_ms is not None),
    )
