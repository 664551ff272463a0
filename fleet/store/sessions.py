"""Sessions of the console in the database: only their tokens' SHA-256, so that who reads it can take none over."""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, delete, insert, select, update

from fleet.access.roles import Role, role_of
from fleet.store.database import Database
from fleet.store.errors import DatabaseError
from fleet.store.tables import SESSION, USER

_log = logging.getLogger(__name__)

IDLE_MS = 60 * 60 * 1_000
"""Nobody used it for so long: it is over. A page that only refreshes itself is no use."""

LONGEST_MS = 12 * 60 * 60 * 1_000
"""It is over, used or not."""

_SKEW_MS = 60_000  # that the clocks of two consoles may differ by
_TOUCH_MS = 60_000  # a use is written this often at most
_MOST = 32  # of one user; the oldest end
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")  # of `secrets.token_urlsafe(32)`

Refusal = Literal["altered", "unknown", "idle", "expired", "disabled"]
"""Why a session is not taken: no token of ours; of no session, or one that was ended; unused or open for too long; its
user is disabled."""


class SessionRefused(Exception):  # noqa: N818 - it is an answer, not a fault
    """A session that is not taken.

    Args:
        reason: why.
        name: of the user, None where that is not known.
    """

    def __init__(self, reason: Refusal, name: str | None = None) -> None:
        self.reason: Refusal = reason
        self.name = name
        super().__init__(reason)


@dataclass(frozen=True)
class Session:
    """An open session: whose it is, and what each change must carry."""

    name: str
    role: Role
    csrf: str


class SessionStore:
    """The sessions of a database. Every method raises DatabaseError where it cannot be used.

    Args:
        database: that holds them.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, name: str, password_hash: str, now_ms: int) -> str | None:
        """Open a session; those that are over are swept away.

        Args:
            name: of the user.
            password_hash: that the password fitted; if it changed meanwhile, or the user was disabled, none is opened.
            now_ms: milliseconds since 1970.

        Returns:
            Its token, which is stored nowhere; None where none was opened.
        """
        token = secrets.token_urlsafe(32)
        with self._database.writing() as connection:
            asked = select(USER.c.disabled, USER.c.password_hash).where(USER.c.name == name).with_for_update()
            row = connection.execute(asked).one_or_none()
            if row is None or row.disabled or row.password_hash != password_hash:
                return None
            _sweep(connection, name, now_ms)
            values = {"token_sha256": digest(token), "name": name, "csrf": secrets.token_urlsafe(32)}
            connection.execute(insert(SESSION).values(**values, created_ms=now_ms, seen_ms=now_ms))
        return token

    def find(self, token: str, now_ms: int, *, used: bool) -> Session:
        """The session of a token.

        Args:
            token: as it came.
            now_ms: milliseconds since 1970.
            used: whether a person asks, and not a page that refreshes itself.

        Raises:
            SessionRefused: it is not taken.
        """
        if not _TOKEN.fullmatch(token):
            raise SessionRefused("altered")
        columns = (SESSION.c.name, SESSION.c.csrf, SESSION.c.created_ms, SESSION.c.seen_ms, USER.c.role)
        query = select(*columns, USER.c.disabled).join_from(SESSION, USER, SESSION.c.name == USER.c.name)
        with self._database.reading() as connection:
            row = connection.execute(query.where(SESSION.c.token_sha256 == digest(token))).one_or_none()
        if row is None:
            raise SessionRefused("unknown")
        if row.disabled:
            raise SessionRefused("disabled", row.name)
        if (
            not -_SKEW_MS <= now_ms - row.created_ms < LONGEST_MS
        ):  # or the clock was set back: nobody knows how old it is
            raise SessionRefused("expired", row.name)
        if now_ms - row.seen_ms >= IDLE_MS:
            raise SessionRefused("idle", row.name)
        if used and now_ms - row.seen_ms >= _TOUCH_MS:
            self._touch(token, now_ms)
        return Session(row.name, role_of(row.role), row.csrf)

    def end(self, token: str) -> None:
        """End a session; harmless where there is none."""
        with self._database.writing() as connection:
            connection.execute(delete(SESSION).where(SESSION.c.token_sha256 == digest(token)))

    def _touch(self, token: str, now_ms: int) -> None:
        """Note the use. Where that cannot be written the session goes on: a full disk must not hide the fleet."""
        statement = update(SESSION).where(SESSION.c.token_sha256 == digest(token), SESSION.c.seen_ms < now_ms)
        try:
            with self._database.noting() as connection:
                connection.execute(statement.values(seen_ms=now_ms))
        except DatabaseError as error:
            _log.warning("that a session is used cannot be noted, so it ends as if it were not: %s", error)


def digest(token: str) -> str:
    """What is stored of a token: 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _sweep(connection: Connection, name: str, now_ms: int) -> None:
    over = (SESSION.c.seen_ms <= now_ms - IDLE_MS) | (SESSION.c.created_ms <= now_ms - LONGEST_MS)
    connection.execute(delete(SESSION).where(over | (SESSION.c.created_ms > now_ms + _SKEW_MS)))
    mine = select(SESSION.c.token_sha256).where(SESSION.c.name == name).order_by(SESSION.c.created_ms.desc())
    too_many = connection.scalars(mine.offset(_MOST - 1)).all()
    connection.execute(delete(SESSION).where(SESSION.c.token_sha256.in_(too_many)))
