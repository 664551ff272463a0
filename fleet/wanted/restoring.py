"""What to do where the database is not the newest any more: it was restored from a backup.

Boxes then run documents with higher revisions than the database knows, and refuse lower ones. Nobody can tell this from
a second controller with a database of its own at the same broker, whose documents would go to and fro; so a person says
so, and the epoch rises.
"""

from __future__ import annotations

from dataclasses import dataclass

from contracts.errors import WrittenError
from fleet.rollout.acting import act
from fleet.rollout.rules import allowed
from fleet.store import rollouts as rollout_store
from fleet.store import settings, stale
from fleet.store import wanted as store
from fleet.store.audit import AuditEntry, Author, record
from fleet.store.database import Database
from fleet.wanted.rules import first_epoch, raised_epoch

_MOST_ROLLOUTS = 1_000


class NothingAheadError(WrittenError):
    """No box runs a newer document than the database knows."""

    def __init__(self) -> None:
        super().__init__(
            "no box has told that it runs a newer document than this database knows; wait until boxes have said hello, "
            "or give --force"
        )


@dataclass(frozen=True)
class Restored:
    """What was done.

    Args:
        epoch: the new one.
        ahead: boxes that run a newer document than the database knows.
        paused: rollouts that were paused: what they did since the backup is not known here.
    """

    epoch: int
    ahead: int
    paused: tuple[int, ...]


def restored(database: Database, author: Author, now_ms: int, *, force: bool = False) -> Restored:
    """Have boxes take the documents of this database again, though theirs are newer.

    Args:
        database: that was restored.
        author: who says so.
        now_ms: now.
        force: also where no box is known to be ahead.

    Raises:
        NothingAheadError: none is, and it was not forced.
        DatabaseError: it cannot be written.
    """
    with database.reading() as connection:
        ahead = store.count_ahead(connection)
    if not ahead and not force:
        raise NothingAheadError
    paused = tuple(_paused(database, author, now_ms))
    with database.writing() as connection:
        epoch = raised_epoch(settings.epoch(connection, first_epoch(now_ms)), now_ms)
        settings.set_epoch(connection, epoch)
        stale.mark_all_stale(connection, now_ms)
        what = f"epoch {epoch}; {ahead} boxes were ahead, rollouts paused: {', '.join(map(str, paused)) or 'none'}"
        record(connection, AuditEntry(now_ms, author, "database.restored", "database", what))
    return Restored(epoch, ahead, paused)


def _paused(database: Database, author: Author, now_ms: int) -> list[int]:
    with database.reading() as connection:
        found = rollout_store.newest(connection, _MOST_ROLLOUTS, ("running",))
        states = {each.id: [one.state for one in rollout_store.classes(connection, each.id)] for each in found}
    going = [each.id for each in found if "pause" in allowed(each.state, states[each.id])]
    for number in going:
        act(database, number, "pause", author, now_ms)
    return going
