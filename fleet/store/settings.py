"""What a database remembers of itself: its epoch."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, select

from fleet.store.tables import SETTING
from fleet.store.upsert import insert_into

_EPOCH = "epoch"
_LISTENING = "listening"
_PLANNING = "planning"


def epoch(connection: Connection, first: int) -> int:
    """The epoch of this database; ``first`` becomes it where it has none yet, and the transaction writes."""
    insert = insert_into(connection, SETTING).values(name=_EPOCH, value=str(first)).on_conflict_do_nothing()
    connection.execute(insert)
    found = connection.scalar(select(SETTING.c.value).where(SETTING.c.name == _EPOCH))
    assert found is not None
    return int(found)


class Listening(NamedTuple):
    """How long the boxes have been listened to without a break, in milliseconds since 1970.

    What a box says later than ``until_ms`` is not known yet: silence is no sign of anything where nobody listens.
    """

    since_ms: int
    until_ms: int


def listening(connection: Connection) -> Listening | None:
    """Since when boxes are listened to, and until when what they said is stored; None before the first time."""
    found = connection.scalar(select(SETTING.c.value).where(SETTING.c.name == _LISTENING))
    return None if found is None else Listening(*map(int, found.split()))


def set_listening(connection: Connection, value: Listening) -> None:
    """Note how long boxes have been listened to."""
    text = f"{value.since_ms} {value.until_ms}"
    insert = insert_into(connection, SETTING).values(name=_LISTENING, value=text)
    connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_={"value": text}))


def set_epoch(connection: Connection, value: int) -> None:
    """Give this database another epoch."""
    insert = insert_into(connection, SETTING).values(name=_EPOCH, value=str(value))
    connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_={"value": str(value)}))


def plan_alone(connection: Connection) -> None:
    """Wait for whoever plans a rollout, and have others wait: two plans at once would take the same boxes."""
    insert = insert_into(connection, SETTING).values(name=_PLANNING, value="").on_conflict_do_nothing()
    connection.execute(insert)
    connection.execute(select(SETTING.c.name).where(SETTING.c.name == _PLANNING).with_for_update())
