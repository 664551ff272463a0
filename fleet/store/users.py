"""Users in the database. Each change is in the audit log; what ends a user's rights ends the sessions at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy import Connection, delete, func, insert, select, update

from contracts.errors import UnknownNameError
from fleet.access.errors import ConflictError
from fleet.access.roles import Role, role_of, user_name
from fleet.store.audit import AuditEntry, Author, record
from fleet.store.database import Database
from fleet.store.tables import SESSION, TOKEN, USER


@dataclass(frozen=True)
class User:
    """A person who may use the console; never with the password's hash."""

    name: str
    role: Role
    disabled: bool
    created_ms: int

    def document(self) -> dict[str, object]:
        """As plain data."""
        return {"name": self.name, "role": self.role, "disabled": self.disabled}


class UserStore:
    """The users of a database. Every method raises DatabaseError where it cannot be used.

    Args:
        database: that holds them.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def exist(self) -> bool:
        """Whether there is any."""
        with self._database.reading() as connection:
            return bool(connection.scalar(select(func.count()).select_from(USER)))

    def all(self) -> list[User]:
        """Every user, by name."""
        with self._database.reading() as connection:
            return _all(connection)

    def with_hash(self, name: str) -> tuple[User, str] | None:
        """A user with what is stored of the password; None where there is none of that name."""
        with self._database.reading() as connection:
            row = connection.execute(select(USER).where(USER.c.name == name)).one_or_none()
        return None if row is None else (_user(row), str(row.password_hash))

    def add(self, name: str, role: Role, password_hash: str, author: Author, now_ms: int) -> User:
        """Add a user.

        Raises:
            WrittenError: nobody may be called that.
            ConflictError: there is one of that name.
        """
        user = User(user_name(name), role, disabled=False, created_ms=now_ms)
        with self._database.writing() as connection:
            known = {each.name: each for each in _all(connection)}
            if name in known:
                raise ConflictError(f"there is a user {name!r} already; choose another name", known[name].document())
            values = {"name": name, "password_hash": password_hash, "role": role, "disabled": False}
            connection.execute(insert(USER).values(**values, created_ms=now_ms))
            record(connection, AuditEntry(now_ms, author, "user.add", name, f"{name} is a user, as {role}"))
        return user

    def change(
        self, name: str, author: Author, now_ms: int, *, role: Role | None = None, disabled: bool | None = None
    ) -> User:
        """Give a user another role, disable them or enable them again; None leaves it as it is.

        Raises:
            UnknownNameError: there is none of that name.
            ConflictError: it is so already, or nobody could manage users any more.
        """

        def change(connection: Connection, user: User) -> str:
            after = replace(
                user,
                role=user.role if role is None else role,
                disabled=user.disabled if disabled is None else disabled,
            )
            if after == user:
                raise ConflictError(f"{name} is so already: {_words(user)}", user.document())
            if _manages(user) and not _manages(after):
                _keep_an_admin(connection, user)
            if after.disabled:
                _end_sessions(connection, name)
            values = {"role": after.role, "disabled": after.disabled}
            connection.execute(update(USER).where(USER.c.name == name).values(**values))
            return f"{name} was {_words(user)} and is {_words(after)}"

        return self._change(name, author, now_ms, "user.change", change)

    def set_password(self, name: str, password_hash: str, author: Author, now_ms: int) -> User:
        """Give a user another password; all of the user's sessions end.

        Raises:
            UnknownNameError: there is none of that name.
        """

        def change(connection: Connection, _user: User) -> str:
            connection.execute(update(USER).where(USER.c.name == name).values(password_hash=password_hash))
            _end_sessions(connection, name)
            return f"{name} has another password"

        return self._change(name, author, now_ms, "user.password", change)

    def remove(self, name: str, author: Author, now_ms: int) -> None:
        """Remove a user with all sessions and tokens; what they did stays in the audit log.

        Raises:
            UnknownNameError: there is none of that name.
            ConflictError: nobody could manage users any more.
        """

        def change(connection: Connection, user: User) -> str:
            _keep_an_admin(connection, user)
            _end_sessions(connection, name)
            connection.execute(delete(TOKEN).where(TOKEN.c.name == name))
            connection.execute(delete(USER).where(USER.c.name == name))
            return f"{name} is no user any more"

        self._change(name, author, now_ms, "user.remove", change)

    def _change(
        self, name: str, author: Author, now_ms: int, action: str, change: Callable[[Connection, User], str]
    ) -> User:
        with self._database.writing() as connection:
            # All admins, in one order: else two who disable each other at once each see the other one stay.
            admins = select(USER.c.name).where(USER.c.role == "admin").order_by(USER.c.name)
            connection.execute(admins.with_for_update()).all()
            user = existing(connection, name)
            summary = change(connection, user)
            record(connection, AuditEntry(now_ms, author, action, name, summary))
            after = connection.execute(select(USER).where(USER.c.name == name)).one_or_none()
            return user if after is None else _user(after)


def existing(connection: Connection, name: str) -> User:
    """A user, locked until the transaction ends.

    Raises:
        UnknownNameError: there is none of that name.
    """
    row = connection.execute(select(USER).where(USER.c.name == name).with_for_update()).one_or_none()
    if row is None:
        raise UnknownNameError("user", name, [user.name for user in _all(connection)])
    return _user(row)


def _all(connection: Connection) -> list[User]:
    return [_user(row) for row in connection.execute(select(USER).order_by(USER.c.name))]


def _user(row: object) -> User:
    name, role, disabled, created = (getattr(row, each) for each in ("name", "role", "disabled", "created_ms"))
    return User(str(name), role_of(role), bool(disabled), int(created))


def _end_sessions(connection: Connection, name: str) -> None:
    connection.execute(delete(SESSION).where(SESSION.c.name == name))


def _keep_an_admin(connection: Connection, user: User) -> None:
    if _manages(user) and not any(_manages(each) for each in _all(connection) if each.name != user.name):
        raise ConflictError(
            f"{user.name!r} is the only admin who is not disabled; make another one first", user.document()
        )


def _words(user: User) -> str:
    return f"{user.role}, disabled" if user.disabled else user.role


def _manages(user: User) -> bool:
    return user.role == "admin" and not user.disabled
