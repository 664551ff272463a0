"""What a version that was released understood or wrote, held against the version of today: docs/adr/0011."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agent.store import LineDefinition, Store
from agent.store.database import NAME
from tests.fakes.reports import draft
from tools.key_table import key_table

HERE = Path(__file__).parent
NORTH = LineDefinition("gate", "north", "digest-1")


@pytest.fixture(params=sorted(HERE.glob("state-*.sql")), ids=lambda file: str(file.stem))
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A state directory as a released agent left it: three reports, of which the broker has the first."""
    with closing(sqlite3.connect(tmp_path / NAME)) as connection:
        connection.executescript(request.param.read_text())
    return tmp_path


def columns(folder: Path) -> dict[tuple[str, str], tuple[str, bool]]:
    """Table and column to its type, and whether something must be given for it."""
    found = {}
    with closing(sqlite3.connect(folder / NAME)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            for _, name, kind, not_null, default, key in connection.execute(f"PRAGMA table_info({table})"):
                found[table, name] = (kind, bool(not_null) and default is None and not key)
    return found


@pytest.mark.parametrize("file", sorted(HERE.glob("agent-keys-*.txt")), ids=lambda file: str(file.stem))
def test_every_key_of_a_released_agent_toml_is_still_understood(file: Path) -> None:
    now = {row.split("`")[1] for row in key_table().splitlines()[2:]}
    assert sorted(set(file.read_text().split()) - now) == []


def test_totals_numbers_and_waiting_reports_of_a_released_agent_go_on(state: Path) -> None:
    with closing(Store.open(state)) as store:
        counter = store.counters([NORTH])["gate", "north"]
        assert counter.totals == {"car": {"in": 7, "out": 3}}
        assert [row.seq for row in store.waiting(0, 10)] == [2, 3]
        assert store.commit([draft()], {counter.counter_id: {"car": {"in": 8, "out": 3}}}) == [4]


def test_a_released_agent_can_go_on_with_what_today_s_leaves(state: Path) -> None:
    released = columns(state)
    with closing(Store.open(state)) as store:
        store.commit([draft()], {})
    now = columns(state)
    assert {place: now[place] for place in released} == released
    with closing(sqlite3.connect(state / NAME)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    tables = {table for table, _ in released}
    further = [place for place, (_, must) in now.items() if place not in released and place[0] in tables and must]
    assert further == [], "the older version gives nothing for these"
