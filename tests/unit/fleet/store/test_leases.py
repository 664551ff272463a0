"""Leases: one program at a time, whatever happened to the others and to their clocks."""

from __future__ import annotations

from pathlib import Path

from fleet.store.database import Database
from fleet.store.leases import Lease

DAY_MS = 86_400_000
NOW_MS = 1_000_000_000_000


def test_only_one_holds_it_until_it_stops_renewing(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "fleet.db"))
    first, second = Lease(database, "broker", "a", 10), Lease(database, "broker", "b", 10)
    assert first.take(NOW_MS)
    assert not second.take(NOW_MS + 9_999)
    assert second.take(NOW_MS + 10_000)
    assert not first.take(NOW_MS + 10_001)


def test_a_program_that_took_it_with_a_clock_far_ahead_and_died_blocks_nobody(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "fleet.db"))
    assert Lease(database, "broker", "a", 10).take(NOW_MS + DAY_MS)
    assert Lease(database, "broker", "b", 10).take(NOW_MS)
