"""Planning a rollout over the boxes that are known, and making it; a person sees the plan before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from fleet.inventory.fields import select
from fleet.rollout.amounts import show_boxes
from fleet.rollout.outcome import runs_release
from fleet.rollout.planning import Candidate, Plan, plan
from fleet.rollout.release import RolloutRelease
from fleet.rollout.spec import RolloutSpec
from fleet.store import penalties, settings
from fleet.store import rollouts as store
from fleet.store.audit import AuditEntry, Author, record
from fleet.store.database import Database
from fleet.store.devices import DeviceStore, StoredDevice
from fleet.store.rollouts import RolloutBox, RolloutClass


@dataclass(frozen=True)
class Planned:
    """A plan, and what keeps boxes out of it that is no matter of the release.

    Args:
        plan: which box gets it when.
        busy: number of another rollout that goes on to the boxes that are in it.
        hints: what of the query or the slot may be meant otherwise, in words.
    """

    plan: Plan
    busy: Mapping[int, tuple[str, ...]]
    hints: tuple[str, ...] = ()

    @property
    def boxes(self) -> int:
        """That get it."""
        return sum(self.boxes_per_class.values())

    @property
    def boxes_per_class(self) -> dict[str, int]:
        """Hardware class to how many of it get it."""
        return {each.hardware_class: each.waves[-1].cumulated for each in self.plan.classes}

    @property
    def notes(self) -> tuple[str, ...]:
        """What somebody should know before he starts it, in words."""
        busy = (
            f"{show_boxes(len(boxes))} in rollout {number} already, and left out" for number, boxes in self.busy.items()
        )
        return (*self.hints, *busy, *self.plan.notes)


def plan_rollout(database: Database, spec: RolloutSpec, release: RolloutRelease, now_ms: int) -> Planned:
    """Plan over all boxes that the query means; nothing is written.

    Raises:
        QueryError: the query cannot be read, or names what no box has.
        DatabaseError: it cannot be read.
    """
    stored = {each.device.device: each for each in DeviceStore(database).all()}
    meant = [stored[device.device] for device in select(spec.query, [each.device for each in stored.values()])]
    with database.reading() as connection:
        return _plan(connection, spec, release, meant, now_ms)


def create_rollout(
    database: Database, spec: RolloutSpec, release: RolloutRelease, author: Author, now_ms: int
) -> tuple[int, Planned]:
    """Make it: it starts at once, or once it is approved where the spec asks for that.

    Returns:
        Its number, and the plan that was made of what was known just now.

    Raises:
        QueryError: the query cannot be read, or names what no box has.
        DatabaseError: it cannot be written.
    """
    stored = {each.device.device: each for each in DeviceStore(database).all()}
    meant = [stored[device.device] for device in select(spec.query, [each.device for each in stored.values()])]
    with database.writing() as connection:
        settings.plan_alone(connection)
        planned = _plan(connection, spec, release, meant, now_ms)
        number = store.create(connection, spec, "draft" if spec.approval else "running", author.who, now_ms)
        names = [each.hardware_class for each in planned.plan.classes]
        store.add_classes(connection, number, [RolloutClass(name, "waiting") for name in names])
        store.add_boxes(connection, list(_boxes(number, planned.plan, now_ms)))
        classes = "1 hardware class" if len(names) == 1 else f"{len(names)} hardware classes"
        what = f"{spec.model} {spec.version} to {show_boxes(planned.boxes)} of {classes}"
        record(connection, AuditEntry(now_ms, author, "rollout.create", f"rollout:{number}", what))
    return number, planned


def _plan(
    connection: Connection, spec: RolloutSpec, release: RolloutRelease, meant: Sequence[StoredDevice], now_ms: int
) -> Planned:
    elsewhere = store.taken(connection, spec.slot)
    punished = penalties.punished(connection, now_ms)
    free = [each for each in meant if each.device.device not in elsewhere]
    busy: dict[int, list[str]] = {}
    for each in meant:
        if each.device.device in elsewhere:
            busy.setdefault(elsewhere[each.device.device], []).append(each.device.device)
    candidates = [_candidate(each, spec, release, punished) for each in free]
    return Planned(
        plan(spec, candidates, seed=spec.manifest),
        {number: tuple(boxes) for number, boxes in sorted(busy.items())},
        tuple(_hints(spec, meant)),
    )


def _hints(spec: RolloutSpec, meant: Sequence[StoredDevice]) -> Iterator[str]:
    if not meant:
        yield f"no box is meant by {spec.query!r}" if spec.query else "no box is known yet"
    slots = {slot for each in meant for slot in each.device.models}
    if slots and spec.slot not in slots:
        yield f"none of these boxes runs a slot {spec.slot!r}; they run {', '.join(sorted(slots))}"


def _candidate(
    stored: StoredDevice, spec: RolloutSpec, release: RolloutRelease, punished: Mapping[str, str]
) -> Candidate:
    device = stored.device
    return Candidate(
        device=device.device,
        hardware_class=device.hardware_class,
        online=device.online,
        misfit=release.misfit(device.facts),
        runs_it_already=runs_release(device.models.get(spec.slot), spec.artifacts, spec.manifest),
        in_penalty=device.device in punished,
        has_warnings=bool(device.warnings),
        labels=device.labels,
        targets=release.targets_of(device.facts),
    )


def _boxes(number: int, made: Plan, now_ms: int) -> Iterator[RolloutBox]:
    for each in made.classes:
        for wave in each.waves:
            for device in wave.boxes:
                yield RolloutBox(number, device, each.hardware_class, wave.wave, now_ms)
