"""Reports that wait for the broker: numbered without a gap, kept in order, oldest dropped first."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from contracts.documents import MachineModel
from contracts.topics import Topic

_FILLED = {"store_id", "seq"}


@dataclass(frozen=True)
class ReportDraft:
    """A report that has no number yet.

    Args:
        topic: where it goes.
        message: what it says; the store fills its ``store_id`` and ``seq``.

    Raises:
        TypeError: the message's kind has no such fields, or no ``boot_id``.
    """

    topic: Topic
    message: MachineModel

    def __post_init__(self) -> None:
        missing = (_FILLED | {"boot_id"}) - set(type(self.message).model_fields)
        if missing:
            raise TypeError(f"{type(self.message).__name__} should have the fields {sorted(missing)} to be numbered")

    def payload(self, store_id: str, seq: int) -> bytes:
        """The message as JSON, numbered."""
        filled = self.message.model_copy(update={"store_id": store_id, "seq": seq})
        return filled.model_dump_json(by_alias=True).encode()


@dataclass(frozen=True)
class Row:
    """A report that waits.

    Args:
        seq: its number.
        topic: where it goes.
        payload: JSON.
        created: seconds since 1970 at which it was committed, by the clock of that moment.
        committed_at: the same moment by ``time.monotonic``, which is only good within one boot.
        boot_id: the boot that counted it.
    """

    seq: int
    topic: str
    payload: bytes
    created: float
    committed_at: float
    boot_id: str


def append(
    connection: sqlite3.Connection, drafts: Sequence[ReportDraft], *, created: float, committed_at: float
) -> list[int]:
    """Number the drafts and let them wait; inside a transaction.

    Returns:
        Their numbers.
    """
    store_id, first = connection.execute("SELECT store_id, next_seq FROM identity").fetchone()
    numbers = list(range(first, first + len(drafts)))
    connection.executemany(
        "INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?)",
        [
            (seq, str(draft.topic), draft.payload(store_id, seq), created, committed_at, _boot_id(draft))
            for seq, draft in zip(numbers, drafts, strict=True)
        ],
    )
    connection.execute("UPDATE identity SET next_seq = ?", (first + len(drafts),))
    return numbers


def leave_out(connection: sqlite3.Connection, count: int) -> None:
    """Leave out that many numbers, and count them as dropped; inside a transaction."""
    connection.execute("UPDATE identity SET next_seq = next_seq + ?, dropped = dropped + ?", (count, count))


def drop_oldest(connection: sqlite3.Connection, count: int) -> None:
    """Drop that many and count them; inside a transaction."""
    connection.execute("DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox ORDER BY seq LIMIT ?)", (count,))
    connection.execute("UPDATE identity SET dropped = dropped + ?", (count,))


def remove(connection: sqlite3.Connection, seqs: Iterable[int]) -> int:
    """Remove reports; inside a transaction. Those that are gone already are passed over.

    Returns:
        How many were there.
    """
    return connection.executemany("DELETE FROM outbox WHERE seq = ?", [(seq,) for seq in seqs]).rowcount


def read(connection: sqlite3.Connection, after_seq: int, limit: int) -> list[Row]:
    """The first reports after a number, in order."""
    rows = connection.execute(
        "SELECT seq, topic, payload, created, committed_at, boot_id FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?",
        (after_seq, limit),
    )
    return [Row(*row) for row in rows]


def _boot_id(draft: ReportDraft) -> str:
    return str(draft.message.model_dump(include={"boot_id"})["boot_id"])
