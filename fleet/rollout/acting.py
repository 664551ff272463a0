"""What a person does to a rollout: approving, pausing, resuming, aborting, reverting it, trying failed boxes again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy import Connection

from contracts.errors import WrittenError
from fleet.rollout.boxes import REFUSED
from fleet.rollout.rules import ENDS, Action, acted, class_acted
from fleet.rollout.standings import silent
from fleet.store import penalties, rollout_events
from fleet.store import rollouts as store
from fleet.store import wanted as wanted_store
from fleet.store.audit import AuditEntry, Author, record
from fleet.store.database import Database
from fleet.store.rollout_events import RolloutEvent
from fleet.store.rollout_rows import lock_boxes
from fleet.store.rollouts import Rollout, RolloutClass


class NoRolloutError(WrittenError):
    """There is no rollout of this number."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"there is no rollout {number}; `edgetally-fleet rollout list` shows what there is")


class RolloutConflictError(WrittenError):
    """Somebody else changed the rollout since it was looked at; nothing was done.

    Args:
        rollout: as it stands now.
    """

    def __init__(self, rollout: Rollout) -> None:
        self.rollout = rollout
        super().__init__(
            f"rollout {rollout.id} was changed meanwhile: it is {rollout.state} now, revision {rollout.revision}; "
            "look again"
        )


def act(
    database: Database, number: int, action: Action, author: Author, now_ms: int, *, revision: int | None = None
) -> Rollout:
    """Do it.

    Args:
        database: of the rollouts.
        number: of the rollout.
        action: what is asked for.
        author: who asks.
        now_ms: now.
        revision: of the rollout that the person saw; None where he takes whatever it is by now.

    Returns:
        The rollout after it.

    Raises:
        NoRolloutError: there is none of this number.
        RolloutConflictError: it is of another revision.
        ActionRefusedError: it cannot be done now.
        DatabaseError: it cannot be written.
    """
    with database.writing() as connection:
        rollout = store.lock(connection, number)
        if rollout is None:
            raise NoRolloutError(number)
        if revision not in {None, rollout.revision}:
            raise RolloutConflictError(rollout)
        classes = store.classes(connection, number)
        state = acted(action, rollout.state, [each.state for each in classes])
        _change_classes(connection, rollout, classes, action, now_ms)
        if action == "retry":
            _try_again(connection, rollout, now_ms)
        reason = f"{action} by {author.who}"
        # What an end leaves to be done is done by steps; who reverts begins anew.
        ended = rollout.ended_ms if state in ENDS else None
        changed = replace(rollout, state=state, reason=reason, ended_ms=ended, revision=rollout.revision + 1)
        store.set_state(connection, changed)
        rollout_events.add(connection, number, RolloutEvent(now_ms, None, action, f"by {author.who}"))
        summary = f"{rollout.state} to {state}" if state != rollout.state else state
        record(connection, AuditEntry(now_ms, author, f"rollout.{action}", f"rollout:{number}", summary))
    return changed


def _change_classes(
    connection: Connection, rollout: Rollout, classes: Iterable[RolloutClass], action: Action, now_ms: int
) -> None:
    for each in classes:
        state = class_acted(action, rollout.state, each.state)
        if action == "resume" and each.state == "halted" and state != "halted":
            _forgive(connection, rollout, each, now_ms)
        if state != each.state:
            changed = replace(each, state=state, soaking_ms=None, reason=f"{action} by a person")
            store.save_class(connection, rollout.id, changed)


def _forgive(connection: Connection, rollout: Rollout, each: RolloutClass, now_ms: int) -> None:
    """Accept the boxes that failed or are silent, of the waves that are open: these boxes, and no others."""
    name, wave = each.hardware_class, each.wave
    failed = [box.device for box in store.boxes_in(connection, rollout.id, name, REFUSED, wave, None)]
    ids = [*failed, *silent(connection, rollout, name, wave, now_ms)]
    wanted_store.lock_devices(connection, ids)
    held = lock_boxes(connection, rollout.id, ids)
    boxes = [box for box in held if box.rollout == rollout.id and box.state in {*REFUSED, "offered"}]
    store.move(connection, boxes, [replace(box, forgiven=True) for box in boxes])


def _try_again(connection: Connection, rollout: Rollout, now_ms: int) -> None:
    """Boxes that failed are to be offered it again, as often as at first; that they failed is forgiven no more."""
    ids = [box.device for box in store.boxes(connection, rollout.id, None, REFUSED)]
    wanted_store.lock_devices(connection, ids)  # what they tell meanwhile is not lost
    held = lock_boxes(connection, rollout.id, ids)
    failed = [box for box in held if box.rollout == rollout.id and box.state in REFUSED]
    again = [replace(box, state="waiting", attempts=0, changed_ms=now_ms, code=None, reason="") for box in failed]
    store.move(connection, failed, again)
    penalties.pardon(connection, [box.device for box in failed])
