"""The audit log: a change and its entry are there together, or neither is."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.store.audit import AuditEntry, AuditLog, Author, record
from fleet.store.database import Database


def entry(at: int, subject: str = "fleet") -> AuditEntry:
    return AuditEntry(at, Author("ada", "cli"), "config.set", subject, "fps 10 instead of 5", "-fps = 5\n+fps = 10\n")


def test_entries_come_newest_first_by_pages_and_by_what_was_changed(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "fleet.db"))
    with database.writing() as connection:
        for at, subject in ((1, "fleet"), (2, "box-1"), (3, "fleet")):
            record(connection, entry(at, subject))
    log = AuditLog(database)
    first, second = log.newest(2)
    assert (first.entry, second.entry) == (entry(3), entry(2, "box-1"))
    assert [each.entry.at_ms for each in log.newest(2, before=second.id)] == [1]
    assert [each.entry.at_ms for each in log.newest(9, subject="fleet")] == [3, 1]


def test_a_change_that_fails_leaves_no_entry(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "fleet.db"))

    def change() -> None:
        with database.writing() as connection:
            record(connection, entry(1))
            raise LookupError

    with pytest.raises(LookupError):
        change()
    assert AuditLog(database).newest(9) == []
