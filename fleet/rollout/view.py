"""A rollout as people see it: the same for the terminal, the console and programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fleet.inventory.device import Device
from fleet.rollout.acting import NoRolloutError
from fleet.rollout.amounts import show_boxes
from fleet.rollout.boxes import OUT, BoxState
from fleet.rollout.gate import Counts
from fleet.rollout.rules import Action, allowed
from fleet.rollout.standings import Waves, standings, together, until
from fleet.store import rollout_events
from fleet.store import rollouts as store
from fleet.store.database import Database
from fleet.store.devices import known_of
from fleet.store.rollout_events import RolloutEvent
from fleet.store.rollouts import Rollout, RolloutBox, RolloutClass

_EVENTS = 50


@dataclass(frozen=True)
class WaveView:
    """A wave of a class: its number from 0, and how its boxes stand."""

    wave: int
    counts: Counts


@dataclass(frozen=True)
class ClassView:
    """A hardware class of a rollout.

    Args:
        stored: where it stands.
        opened: how the boxes of its open waves stand.
        waves: all that have boxes, in their order.
        boxes: of all waves, those that were taken out since not among them.
        out: of those that a gate counts nowhere, how many are ``reverting``, ``reverted``, ``superseded``,
            ``withdrawn``.
    """

    stored: RolloutClass
    opened: Counts
    waves: tuple[WaveView, ...]
    boxes: int
    out: Mapping[BoxState, int] = field(default_factory=dict)

    @property
    def forgiven(self) -> int:
        """Failed and silent boxes of its open waves that a person accepted."""
        return self.opened.forgiven_failed + self.opened.forgiven_silent

    @property
    def every(self) -> Counts:
        """How the boxes of all waves stand."""
        return together(wave.counts for wave in self.waves)


@dataclass(frozen=True)
class RolloutView:
    """A rollout.

    Args:
        rollout: as it is stored.
        classes: its hardware classes, by name.
        actions: what a person may do now.
        events: what happened, newest first.
    """

    rollout: Rollout
    classes: tuple[ClassView, ...]
    actions: tuple[Action, ...]
    events: tuple[RolloutEvent, ...]

    @property
    def committed(self) -> int:
        """Boxes that run it."""
        return sum(wave.counts.committed for each in self.classes for wave in each.waves)

    @property
    def boxes(self) -> int:
        """Boxes that it is for."""
        return sum(each.boxes for each in self.classes)

    @property
    def how_far(self) -> str:
        """How many boxes are where they should be, in words."""
        out = sum((Counter(each.out) for each in self.classes), Counter[BoxState]())
        if self.rollout.state in {"reverting", "reverted"}:
            back, all_of_them = out["reverted"], out["reverted"] + out["reverting"]
            away = "; one that is away goes back when it returns" if out["reverting"] else ""
            return f"{back} of {show_boxes(all_of_them)} back at what ran before{away}"
        if self.rollout.state == "aborted":
            away = f"; {out['reverting']} still to get back what they ran" if out["reverting"] else ""
            return f"{_runs(self.committed, self.boxes + out.total())}{away}"
        return _runs(self.committed, self.boxes)


def _runs(boxes: int, of: int) -> str:
    return f"{boxes} of {show_boxes(of)} {'runs' if of == 1 else 'run'} it"


def view(database: Database, number: int, now_ms: int) -> RolloutView:
    """One rollout.

    Raises:
        NoRolloutError: there is none of this number.
        DatabaseError: it cannot be read.
    """
    with database.reading() as connection:
        rollout = store.get(connection, number)
        if rollout is None:
            raise NoRolloutError(number)
        found = standings(connection, rollout, now_ms)
        stored = store.classes(connection, number)
        tally = store.tally(connection, number)
        events = rollout_events.newest(connection, number, _EVENTS)
    out: dict[str, Counter[BoxState]] = {}
    for at, n in tally.items():
        if at.state in OUT:
            out.setdefault(at.hardware_class, Counter())[at.state] += n
    classes = tuple(
        _class(each, found.get(each.hardware_class, {}), out.get(each.hardware_class, {})) for each in stored
    )
    return RolloutView(rollout, classes, allowed(rollout.state, [each.state for each in stored]), tuple(events))


def boxes(database: Database, number: int, limit: int | None, states: Iterable[BoxState] = ()) -> list[RolloutBox]:
    """Boxes of a rollout, the latest change first; the reason of one that came to no end is what it is at.

    Args:
        database: of the rollouts.
        number: of the rollout.
        limit: how many at most; all where None.
        states: only boxes in these; in any where there are none.

    Raises:
        NoRolloutError: there is none of this number.
        DatabaseError: it cannot be read.
    """
    with database.reading() as connection:
        if store.get(connection, number) is None:
            raise NoRolloutError(number)
        found = store.boxes(connection, number, limit, states)
        known = known_of(connection, (box.device for box in found if box.state == "offered"))
    return [replace(box, reason=_is_at(box, known[box.device])) if box.device in known else box for box in found]


def _is_at(box: RolloutBox, device: Device) -> str:
    update = device.update
    if update is None or update.model_revision != box.model_revision:
        return box.reason
    return ": ".join(part for part in (update.state, update.progress and update.progress.text, update.reason) if part)


def newest(database: Database, limit: int) -> Sequence[Rollout]:
    """Rollouts, newest first.

    Raises:
        DatabaseError: it cannot be read.
    """
    with database.reading() as connection:
        return store.newest(connection, limit)


def _class(stored: RolloutClass, waves: Waves, out: Mapping[BoxState, int]) -> ClassView:
    every = together(waves.values())
    return ClassView(
        stored,
        until(waves, stored.wave),
        tuple(WaveView(number, waves[number]) for number in sorted(waves)),
        every.eligible + every.unreached + every.waiting + every.held,
        dict(out),
    )
