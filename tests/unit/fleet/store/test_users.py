"""Users, sessions and tokens in the database, and who changed what of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.errors import UnknownNameError, WrittenError
from fleet.access.errors import ConflictError
from fleet.access.roles import role_of, scopes_of
from fleet.ingest import Arrived, Ingest
from fleet.store.audit import AuditLog, Author
from fleet.store.database import Database
from fleet.store.devices import DeviceStore
from fleet.store.known import KnownDevices
from fleet.store.sessions import IDLE_MS, SessionRefused, SessionStore
from fleet.store.tokens import TokenStore
from fleet.store.users import UserStore
from tests.fakes.fleet import facts, hello
from tests.fakes.inventory import MemoryCounts

AUTHOR = Author("root", "cli")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(str(tmp_path / "fleet.db"))
    yield opened
    opened.close()


@pytest.fixture
def users(database: Database) -> UserStore:
    store = UserStore(database)
    store.add("ada", "admin", "hash of ada", AUTHOR, 1)
    store.add("vera", "viewer", "hash of vera", AUTHOR, 2)
    return store


def test_every_change_of_a_user_is_in_the_audit_log_without_the_password(users: UserStore, database: Database) -> None:
    users.change("vera", AUTHOR, 3, role="operator", disabled=True)
    users.set_password("vera", "another hash", AUTHOR, 4)
    users.remove("vera", AUTHOR, 6)
    entries = [one.entry for one in AuditLog(database).newest(10, subject="vera")]
    assert [(one.at_ms, one.action) for one in entries] == [
        (6, "user.remove"), (4, "user.password"), (3, "user.change"), (2, "user.add"),
    ]  # fmt: skip
    assert entries[2].summary == "vera was viewer and is operator, disabled"
    assert not [one for one in entries if "hash" in one.summary + one.diff]
    assert [user.name for user in users.all()] == ["ada"]


def test_a_change_that_is_refused_leaves_no_trace(users: UserStore, database: Database) -> None:
    with pytest.raises(ConflictError) as conflict:
        users.add("vera", "admin", "hash", AUTHOR, 3)
    assert conflict.value.current == {"name": "vera", "role": "viewer", "disabled": False}
    with pytest.raises(UnknownNameError, match="did you mean 'vera'"):
        users.set_password("vira", "hash", AUTHOR, 3)
    assert len(AuditLog(database).newest(10)) == 2


@pytest.mark.parametrize("name", ["", "Ada", "-a", "a b", "a\n", "é", "a" * 65, "../a"])
def test_names_that_would_be_taken_for_something_else_are_refused(users: UserStore, name: str) -> None:
    with pytest.raises(WrittenError, match="should be 1 to 64"):
        users.add(name, "viewer", "hash", AUTHOR, 3)


def test_somebody_can_always_manage_users(users: UserStore) -> None:
    for attempt in (
        lambda: users.change("ada", AUTHOR, 3, disabled=True),
        lambda: users.change("ada", AUTHOR, 3, role="operator"),
        lambda: users.remove("ada", AUTHOR, 3),
    ):
        with pytest.raises(ConflictError, match="only admin"):
            attempt()
    users.add("eve", "admin", "hash", AUTHOR, 3)
    users.change("ada", AUTHOR, 4, disabled=True)
    users.remove("ada", AUTHOR, 5)


def test_of_two_admins_who_disable_each_other_at_once_one_stays(users: UserStore, tmp_path: Path) -> None:
    users.add("eve", "admin", "hash", AUTHOR, 3)
    stores = [Database(str(tmp_path / "fleet.db")) for _ in range(2)]
    refused: list[str] = []

    def disable(store: Database, name: str) -> None:
        try:
            UserStore(store).change(name, AUTHOR, 4, disabled=True)
        except ConflictError:
            refused.append(name)

    pairs = zip(stores, ("ada", "eve"), strict=True)
    threads = [threading.Thread(target=disable, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    for store in stores:
        store.close()


def test_a_session_is_opened_only_with_the_password_that_holds_now(users: UserStore, database: Database) -> None:
    sessions = SessionStore(database)
    assert sessions.open("vera", "hash of vera", 3)
    assert sessions.open("vera", "the one before", 3) is None
    assert sessions.open("nobody", "hash", 3) is None
    users.change("vera", AUTHOR, 4, disabled=True)
    assert sessions.open("vera", "hash of vera", 5) is None


def test_of_too_many_sessions_of_a_user_the_oldest_ends(users: UserStore, database: Database) -> None:
    sessions = SessionStore(database)
    other = sessions.open("ada", "hash of ada", 3) or ""
    opened = [sessions.open("vera", "hash of vera", 3 + n) or "" for n in range(33)]
    with pytest.raises(SessionRefused):
        sessions.find(opened[0], 40, used=True)
    assert {sessions.find(token, 40, used=True).name for token in opened[1:]} == {"vera"}
    assert sessions.find(other, 40, used=True).name == "ada"


def test_sessions_that_are_over_are_swept_away(users: UserStore, database: Database, tmp_path: Path) -> None:
    sessions = SessionStore(database)
    sessions.open("vera", "hash of vera", 3)
    sessions.open("vera", "hash of vera", 3 + IDLE_MS)
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM console_session").scalar() == 1


def test_a_removed_user_takes_sessions_and_tokens_along(users: UserStore, database: Database) -> None:
    token = SessionStore(database).open("vera", "hash of vera", 3) or ""
    _, text = TokenStore(database).add("vera", "x", ("read",), AUTHOR, 3, 1_000)
    assert TokenStore(database).bearer(text, 4) is not None
    users.remove("vera", AUTHOR, 5)
    users.add("vera", "admin", "hash", AUTHOR, 6)
    with pytest.raises(SessionRefused):
        SessionStore(database).find(token, 7, used=True)
    assert TokenStore(database).bearer(text, 7) is None
    assert TokenStore(database).all() == []


def test_tokens_are_listed_and_revoked_with_an_entry_each(users: UserStore, database: Database) -> None:
    tokens = TokenStore(database)
    with pytest.raises(UnknownNameError):
        tokens.add("nobody", "x", ("read",), AUTHOR, 3, 10)
    token, text = tokens.add("vera", "prometheus", ("read",), AUTHOR, 3, 10)
    assert text.startswith(f"edgetally_{token.id}_")
    assert tokens.all() == tokens.all("vera") == [token]
    assert tokens.all("ada") == []
    assert tokens.revoke(token.id, AUTHOR, 4) == token
    with pytest.raises(UnknownNameError):
        tokens.revoke(token.id, AUTHOR, 5)
    entries = [one.entry for one in AuditLog(database).newest(2)]
    assert [one.action for one in entries] == ["token.revoke", "token.add"]
    assert text not in entries[0].summary + entries[1].summary


def test_roles_and_scopes_are_those_that_there_are() -> None:
    assert role_of("operator") == "operator"
    assert scopes_of(["rollout", "read", "read"]) == ("read", "rollout")
    with pytest.raises(UnknownNameError, match="did you mean 'admin'"):
        role_of("amdin")
    with pytest.raises(UnknownNameError, match="did you mean 'config'"):
        scopes_of(["confg"])
    with pytest.raises(WrittenError, match="without a scope"):
        scopes_of([])


def test_known_boxes_are_parsed_anew_only_where_they_changed(database: Database) -> None:
    now = [100.0]
    known = KnownDevices(database, lambda: now[0])
    ingest = Ingest(DeviceStore(database), MemoryCounts())
    ingest.take([Arrived(*hello(box), False, 5) for box in ("a", "b")])
    first = known.all()
    ingest.take([Arrived(*facts("b", labels={"site": "x"}), False, 6), Arrived(*hello("c"), False, 6)])
    assert known.all() is first, "who asks at once gets what was read just now"
    now[0] += 1.0
    second = known.all()
    assert [one.device.device for one in second] == ["a", "b", "c"]
    assert second[0].device is first[0].device
    assert (first[1].device.labels, second[1].device.labels) == ({}, {"site": "x"})
    assert second[1].last_seen_ms == 6
    assert [(one.device, one.last_seen_ms) for one in second] == [
        (one.device, one.last_seen_ms) for one in DeviceStore(database).all()
    ]
