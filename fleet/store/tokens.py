"""Tokens of programs in the database: their SHA-256, what each may do, and until when."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass

from sqlalchemy import Row, delete, insert, select, update

from contracts.errors import UnknownNameError
from fleet.access.roles import ALLOWED, Role, Scope, role_of, scopes_of
from fleet.store.audit import AuditEntry, Author, record
from fleet.store.database import Database
from fleet.store.errors import DatabaseError
from fleet.store.sessions import digest
from fleet.store.tables import TOKEN, USER
from fleet.store.users import existing

_log = logging.getLogger(__name__)

PREFIX = "edgetally_"
"""What each begins with, so that a search for leaked secrets finds it."""

_TOUCH_MS = 60_000  # a use is written this often at most
_LONGEST_TITLE = 160


@dataclass(frozen=True)
class Token:
    """A token, without itself.

    Args:
        id: names it.
        name: the user that it acts for.
        title: what it is for.
        scopes: what it may do, where its user may too.
        created_ms: when it was made, milliseconds since 1970; so the next two.
        expires_ms: from when on it is refused.
        used_ms: when it was last used, within a minute; None: never.
    """

    id: str
    name: str
    title: str
    scopes: tuple[Scope, ...]
    created_ms: int
    expires_ms: int
    used_ms: int | None


@dataclass(frozen=True)
class Bearer:
    """Whose a token is, and what it may do now."""

    id: str
    name: str
    role: Role
    rights: frozenset[Scope]


class TokenStore:
    """The tokens of a database. Every method raises DatabaseError where it cannot be used.

    Args:
        database: that holds them.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, name: str, title: str, scopes: tuple[Scope, ...], author: Author, now_ms: int, expires_ms: int
    ) -> tuple[Token, str]:
        """Make a token for a user.

        Returns:
            It, and its text, which is stored nowhere.

        Raises:
            UnknownNameError: there is no such user.
        """
        id_ = secrets.token_hex(8)
        text = f"{PREFIX}{id_}_{secrets.token_urlsafe(32)}"
        token = Token(id_, name, title[:_LONGEST_TITLE], scopes, now_ms, expires_ms, None)
        with self._database.writing() as connection:
            existing(connection, name)
            values = {"id": id_, "token_sha256": digest(text), "name": name, "title": token.title}
            times = {"created_ms": now_ms, "expires_ms": expires_ms}
            connection.execute(insert(TOKEN).values(**values, **times, scopes=" ".join(scopes)))
            summary = f"token {id_} ({token.title}) acts for {name}: {', '.join(scopes)}"
            record(connection, AuditEntry(now_ms, author, "token.add", name, summary))
        return token, text

    def all(self, name: str | None = None) -> list[Token]:
        """Every token, or those of one user, oldest first."""
        query = select(TOKEN).order_by(TOKEN.c.created_ms, TOKEN.c.id)
        if name is not None:
            query = query.where(TOKEN.c.name == name)
        with self._database.reading() as connection:
            return [_token(row) for row in connection.execute(query)]

    def revoke(self, id_: str, author: Author, now_ms: int) -> Token:
        """End a token for good.

        Raises:
            UnknownNameError: there is none of that id.
        """
        with self._database.writing() as connection:
            row = connection.execute(select(TOKEN).where(TOKEN.c.id == id_).with_for_update()).one_or_none()
            if row is None:
                raise UnknownNameError("token", id_, connection.scalars(select(TOKEN.c.id)))
            connection.execute(delete(TOKEN).where(TOKEN.c.id == id_))
            summary = f"token {id_} ({row.title}) is revoked"
            record(connection, AuditEntry(now_ms, author, "token.revoke", row.name, summary))
        return _token(row)

    def bearer(self, text: str, now_ms: int) -> Bearer | None:
        """Whose a token is; None where it is unknown, revoked, over, or its user is disabled."""
        columns = (TOKEN.c.id, TOKEN.c.name, TOKEN.c.scopes, TOKEN.c.expires_ms, TOKEN.c.used_ms, USER.c.role)
        query = select(*columns).join_from(TOKEN, USER, TOKEN.c.name == USER.c.name).where(USER.c.disabled.is_(False))
        with self._database.reading() as connection:
            row = connection.execute(query.where(TOKEN.c.token_sha256 == digest(text))).one_or_none()
        if row is None or now_ms >= row.expires_ms:
            return None
        if row.used_ms is None or now_ms - row.used_ms >= _TOUCH_MS:
            self._touch(row.id, now_ms)
        role = role_of(row.role)
        return Bearer(row.id, row.name, role, ALLOWED[role] & frozenset(row.scopes.split()))

    def _touch(self, id_: str, now_ms: int) -> None:
        """Note the use; where that cannot be written the token is taken all the same."""
        try:
            with self._database.noting() as connection:
                connection.execute(update(TOKEN).where(TOKEN.c.id == id_).values(used_ms=now_ms))
        except DatabaseError as error:
            _log.warning("that token %s is used cannot be noted: %s", id_, error)


def _token(row: Row[tuple[object, ...]]) -> Token:
    scopes = scopes_of(row.scopes.split())
    return Token(row.id, row.name, row.title, scopes, row.created_ms, row.expires_ms, row.used_ms)
