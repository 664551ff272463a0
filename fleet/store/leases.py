"""Who does what only one program may do at a time; whoever stops renewing loses it."""

from __future__ import annotations

from sqlalchemy import delete, or_, select

from fleet.store.database import Database
from fleet.store.tables import LEASE
from fleet.store.upsert import insert_into

_LONGEST = 10  # times as long as ours another program's settings may have it last


class Lease:
    """A lease that programs on the same database compete for.

    Args:
        database: theirs.
        name: of what only one does.
        holder: this program, by a name that no other has.
        seconds: it is held without being renewed; the clocks of the programs may differ by a fraction of it.
    """

    def __init__(self, database: Database, name: str, holder: str, seconds: float) -> None:
        self._database = database
        self._name = name
        self._holder = holder
        self._ms = round(seconds * 1000)

    def take(self, now_ms: int) -> bool:
        """Take it, or renew it: whether this program holds it now.

        Raises:
            DatabaseError: it cannot be written.
        """
        # None lasts so long: whoever took it had a clock far ahead, and would block all others until then.
        unbelievable = LEASE.c.until_ms > now_ms + _LONGEST * self._ms
        free = or_(LEASE.c.until_ms <= now_ms, LEASE.c.holder == self._holder, unbelievable)
        values = {"holder": self._holder, "until_ms": now_ms + self._ms}
        with self._database.writing() as connection:
            insert = insert_into(connection, LEASE).values(name=self._name, **values)
            connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_=values, where=free))
            holder = connection.scalar(select(LEASE.c.holder).where(LEASE.c.name == self._name))
        return holder == self._holder

    def give_back(self) -> None:
        """Let another program have it at once.

        Raises:
            DatabaseError: it cannot be written.
        """
        with self._database.writing() as connection:
            connection.execute(delete(LEASE).where(LEASE.c.name == self._name, LEASE.c.holder == self._holder))
