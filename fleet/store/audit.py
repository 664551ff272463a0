"""Who changed what, and when: written in the transaction of the change, so that neither is there without the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, insert, select

from fleet.store.database import Database
from fleet.store.tables import AUDIT

Via = Literal["cli", "console", "api", "controller"]
"""Which way a change came."""


@dataclass(frozen=True)
class Author:
    """Who changes something: a person's name, or ``controller``."""

    who: str
    via: Via


@dataclass(frozen=True)
class AuditEntry:
    """A change that somebody made.

    Args:
        at_ms: when, milliseconds since 1970.
        author: who, and which way.
        action: ``config.set``, ``rollout.create``, ``user.add``, …
        subject: what was changed: a layer, a rollout, a user, a box.
        summary: in one sentence.
        diff: unified, without secrets; empty where nothing has one.
    """

    at_ms: int
    author: Author
    action: str
    subject: str
    summary: str
    diff: str = ""


@dataclass(frozen=True)
class StoredEntry:
    """An entry, and its number: later ones have higher ones."""

    id: int
    entry: AuditEntry


def record(connection: Connection, entry: AuditEntry) -> None:
    """Write an entry, in the transaction that changes what it tells of."""
    values = {
        "at_ms": entry.at_ms,
        "who": entry.author.who,
        "via": entry.author.via,
        "action": entry.action,
        "subject": entry.subject,
        "summary": entry.summary,
        "diff": entry.diff,
    }
    connection.execute(insert(AUDIT).values(values))


class AuditLog:
    """The entries of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest(self, limit: int, *, before: int | None = None, subject: str | None = None) -> list[StoredEntry]:
        """Entries, newest first.

        Args:
            limit: how many at most.
            before: only those with a lower number than this: the next page.
            subject: only those of one thing.

        Raises:
            DatabaseError: it cannot be read.
        """
        query = select(AUDIT).order_by(AUDIT.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(AUDIT.c.id < before)
        if subject is not None:
            query = query.where(AUDIT.c.subject == subject)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return [
            StoredEntry(
                row.id,
                AuditEntry(row.at_ms, Author(row.who, row.via), row.action, row.subject, row.summary, row.diff),
            )
            for row in rows
        ]
