"""The schema: any earlier version becomes this one, a newer one is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text

from contracts.errors import WrittenError
from fleet.store import migrations
from fleet.store import rollouts as store
from fleet.store.database import Database
from fleet.store.errors import DatabaseError, RejectedError
from fleet.store.rollouts import RolloutClass
from fleet.store.tables import METADATA


def test_the_steps_make_the_tables_that_the_code_uses(tmp_path: Path) -> None:
    file = tmp_path / "fleet.db"
    Database(str(file)).close()
    made = inspect(create_engine(f"sqlite:///{file}"))
    for table in METADATA.sorted_tables:
        columns = {column["name"]: column["nullable"] for column in made.get_columns(table.name)}
        assert columns == {column.name: column.nullable for column in table.columns}
        indexes = {index["name"]: index["column_names"] for index in made.get_indexes(table.name)}
        assert indexes == {index.name: [column.name for column in index.columns] for index in table.indexes}


def test_a_database_is_made_once_and_opened_again(tmp_path: Path) -> None:
    Database(str(tmp_path / "fleet.db")).close()
    database = Database(f"sqlite:///{tmp_path / 'fleet.db'}")
    with database.writing() as connection:
        assert migrations.migrate(connection, "") == 0
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"


def _set_steps(monkeypatch: pytest.MonkeyPatch, steps: object) -> None:
    monkeypatch.setattr(migrations, "STEPS", steps)
    monkeypatch.setattr("fleet.store.database.STEPS", steps)


def test_a_further_step_is_taken_once_and_keeps_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Database(str(tmp_path / "fleet.db")).close()
    taken: list[int] = []
    _set_steps(monkeypatch, (*migrations.STEPS, lambda _: taken.append(3)))
    Database(str(tmp_path / "fleet.db")).close()
    Database(str(tmp_path / "fleet.db")).close()
    assert taken == [3]


def test_a_step_that_fails_leaves_the_version_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(connection: object) -> None:
        connection.execute(text("CREATE TABLE half (a INTEGER)"))  # type: ignore[attr-defined]
        connection.execute(text("no SQL"))  # type: ignore[attr-defined]

    with monkeypatch.context() as patch:
        _set_steps(patch, (*migrations.STEPS, fails))
        with pytest.raises(DatabaseError):
            Database(str(tmp_path / "fleet.db"))
    with Database(str(tmp_path / "fleet.db")).reading() as connection:
        assert not inspect(connection).has_table("half")


def test_whoever_only_looks_makes_no_file_and_waits_for_nobody_who_writes(tmp_path: Path) -> None:
    file = tmp_path / "fleet.db"
    with pytest.raises(DatabaseError, match="there is no such file; `edgetally-fleet serve` makes it"):
        Database(str(file), make=False)
    assert not file.exists()
    made = Database(str(file))
    with made.writing():  # holds the only lock there is for writing
        Database(str(file), make=False).close()
    made.close()


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "fleet.db"))
    with database.writing() as connection:
        connection.execute(text("UPDATE schema_version SET version = 99"))
    with pytest.raises(RejectedError, match="version 99, this program knows 3"):
        Database(str(tmp_path / "fleet.db"))


@pytest.mark.parametrize(
    ("address", "said"),
    [("mysql://host/fleet", "no databases of kind 'mysql'"), ("://", "expected postgresql://USER@HOST/NAME")],
)
def test_an_address_that_is_none_says_what_was_expected(address: str, said: str) -> None:
    with pytest.raises(WrittenError, match=said):
        Database(address)


def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "fleet.db").write_bytes(b"not a database" * 100)
    with pytest.raises(DatabaseError, match="not a database"):
        Database(str(tmp_path / "fleet.db"))


def test_an_error_shows_no_password() -> None:
    with pytest.raises(DatabaseError) as error:
        Database("postgresql://me:geheim@127.0.0.1:1/fleet")
    assert "geheim" not in str(error.value)


def test_a_database_of_the_first_version_keeps_its_rollouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = str(tmp_path / "fleet.db")
    with monkeypatch.context() as patch:
        _set_steps(patch, migrations.STEPS[:1])
        first = Database(file)
    with first.writing() as connection:
        connection.execute(text("INSERT INTO rollout_class VALUES (1, 'jetson', 'halted', 2, 5, NULL, 'why', 3)"))
        box = "1, 'box-1', 'jetson', 2, 'failed', 1, 7, 5, 6, 'fps_low', 'slow', NULL"
        connection.execute(text(f"INSERT INTO rollout_device VALUES ({box})"))
    first.close()
    with Database(file).reading() as connection:
        assert store.classes(connection, 1) == [RolloutClass("jetson", "halted", 2, 5, None, "why")]
        (found,) = store.boxes(connection, 1, None)
    assert (found.device, found.state, found.code, found.forgiven) == ("box-1", "failed", "fps_low", False)
