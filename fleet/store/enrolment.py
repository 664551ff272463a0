"""Tokens, names and certificates of boxes in the database; each change has its audit entry in its transaction."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Row, func, insert, or_, select, update

from contracts.enrolment import token_id
from contracts.errors import UnknownNameError
from fleet.enrolment.rules import State
from fleet.enrolment.tokens import Bounds, EnrolToken, new_token
from fleet.store.audit import AuditEntry, Author, record
from fleet.store.database import Database
from fleet.store.sessions import digest
from fleet.store.tables import CERTIFICATE, DEVICE, ENROL_TOKEN, ENROLLED
from fleet.store.upsert import insert_into

_LONGEST_TITLE = 160
_NOBODY = "0" * 64


@dataclass(frozen=True)
class Enrolled:
    """A name under which a box was let in.

    Args:
        device: the name.
        state: how it stands.
        serial: of the board, as it said.
        changed_ms: since when it stands so, milliseconds since 1970.
        expires_ms: when its newest certificate ends; None where none holds.
    """

    device: str
    state: State
    serial: str | None
    changed_ms: int
    expires_ms: int | None


@dataclass(frozen=True)
class StoredCertificate:
    """A box's certificate; ``revoked_ms`` is None while it is not revoked."""

    fingerprint: str
    serial: str
    device: str
    key: str
    token: str | None
    issued_ms: int
    expires_ms: int
    revoked_ms: int | None = None


class EnrolTokens:
    """The tokens of a database. Every method raises DatabaseError where it cannot be used.

    Args:
        database: that holds them.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, title: str, bounds: Bounds, author: Author, now_ms: int, expires_ms: int) -> tuple[EnrolToken, str]:
        """Make a token.

        Returns:
            It, and its text, which is stored nowhere.
        """
        id_, text = new_token()
        token = EnrolToken(id_, title[:_LONGEST_TITLE], bounds, 0, now_ms, expires_ms)
        values = {"id": id_, "token_sha256": digest(text), "title": token.title, "uses": bounds.uses, "used": 0}
        whom = {"names": bounds.names, "only_for": json.dumps(bounds.only), "labels": json.dumps(dict(bounds.labels))}
        with self._database.writing() as connection:
            connection.execute(insert(ENROL_TOKEN).values(**values, **whom, created_ms=now_ms, expires_ms=expires_ms))
            summary = f"token {id_} ({token.title}) lets in {bounds.uses} boxes called {bounds.names}"
            record(connection, AuditEntry(now_ms, author, "enrol.token", id_, summary))
        return token, text

    def all(self) -> list[EnrolToken]:
        """Every token, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(select(ENROL_TOKEN).order_by(ENROL_TOKEN.c.created_ms, ENROL_TOKEN.c.id))
            return [_token(row) for row in rows]

    def revoke(self, id_: str, author: Author, now_ms: int) -> EnrolToken:
        """Have a token let in nobody any more; boxes that it let in stay.

        Raises:
            UnknownNameError: there is none of that id.
        """
        with self._database.writing() as connection:
            row = connection.execute(select(ENROL_TOKEN).where(ENROL_TOKEN.c.id == id_).with_for_update()).one_or_none()
            if row is None:
                raise UnknownNameError("token", id_, connection.scalars(select(ENROL_TOKEN.c.id)))
            if row.revoked_ms is None:
                connection.execute(update(ENROL_TOKEN).where(ENROL_TOKEN.c.id == id_).values(revoked_ms=now_ms))
                summary = f"token {id_} ({row.title}) is revoked"
                record(connection, AuditEntry(now_ms, author, "enrol.token.revoke", id_, summary))
        return _token(row)


def find_token(connection: Connection, text: str) -> EnrolToken | None:
    """The token of that text, locked; None where there is none, or its secret is another."""
    id_ = token_id(text)
    row = connection.execute(select(ENROL_TOKEN).where(ENROL_TOKEN.c.id == (id_ or "")).with_for_update()).one_or_none()
    right = hmac.compare_digest(digest(text), _NOBODY if row is None else row.token_sha256)
    return _token(row) if row is not None and right else None


def use_token(connection: Connection, id_: str) -> None:
    """A token let in a box."""
    connection.execute(update(ENROL_TOKEN).where(ENROL_TOKEN.c.id == id_).values(used=ENROL_TOKEN.c.used + 1))


def state_of(connection: Connection, device: str) -> State | None:
    """How a name stands, locked; None where no box was let in under it."""
    query = select(ENROLLED.c.state).where(ENROLLED.c.device == device).with_for_update()
    return connection.scalar(query)


def is_known(connection: Connection, device: str) -> bool:
    """Whether the inventory has a box of that name."""
    return connection.scalar(select(DEVICE.c.device).where(DEVICE.c.device == device)) is not None


def set_state(connection: Connection, device: str, state: State, now_ms: int, serial: str | None = None) -> None:
    """Have a name stand so; a serial number of None leaves the one before."""
    values = {"state": state, "changed_ms": now_ms} | ({} if serial is None else {"serial": serial})
    added = insert_into(connection, ENROLLED).values(device=device, **values)
    connection.execute(added.on_conflict_do_update(index_elements=["device"], set_=values))


def claim(connection: Connection, device: str, now_ms: int, serial: str | None) -> bool:
    """Have a new name be a box's; False where another box came first."""
    added = insert_into(connection, ENROLLED).values(device=device, state="active", serial=serial, changed_ms=now_ms)
    return connection.scalar(added.on_conflict_do_nothing().returning(ENROLLED.c.device)) is not None


def let_in_before(connection: Connection, key: str, token: str) -> str | None:
    """The box that a token let in with this very key, where its certificate is not revoked."""
    is_it = (CERTIFICATE.c.key_sha256 == key, CERTIFICATE.c.token == token, CERTIFICATE.c.revoked_ms.is_(None))
    return connection.scalar(select(CERTIFICATE.c.device).where(*is_it).limit(1))


def certificate_of(connection: Connection, fingerprint: str) -> StoredCertificate | None:
    """A certificate; whoever issues another one after it holds its box's name first (`state_of`)."""
    row = connection.execute(select(CERTIFICATE).where(CERTIFICATE.c.fingerprint == fingerprint)).one_or_none()
    return None if row is None else _certificate(row)


def keep_certificate(connection: Connection, certificate: StoredCertificate) -> None:
    """Remember a certificate that was issued."""
    values = {
        column.name: getattr(certificate, _FIELDS.get(column.name, column.name)) for column in CERTIFICATE.columns
    }
    connection.execute(insert(CERTIFICATE).values(**values))


def revoke_all(connection: Connection, device: str, now_ms: int) -> int:
    """Revoke every certificate of a box; how many."""
    of_it = (CERTIFICATE.c.device == device, CERTIFICATE.c.revoked_ms.is_(None))
    return connection.execute(update(CERTIFICATE).where(*of_it).values(revoked_ms=now_ms)).rowcount


def revoked(connection: Connection, now_ms: int) -> list[StoredCertificate]:
    """Certificates that were revoked and are not over by themselves, in the order of their numbers."""
    query = select(CERTIFICATE).where(CERTIFICATE.c.revoked_ms.is_not(None), CERTIFICATE.c.expires_ms > now_ms)
    return [_certificate(row) for row in connection.execute(query.order_by(CERTIFICATE.c.serial))]


def all_enrolled(connection: Connection) -> Sequence[Enrolled]:
    """Every name under which a box was let in."""
    holds = or_(CERTIFICATE.c.device.is_(None), CERTIFICATE.c.revoked_ms.is_(None))
    newest = func.max(CERTIFICATE.c.expires_ms).filter(holds)
    query = select(ENROLLED, newest.label("expires_ms")).outerjoin(
        CERTIFICATE, CERTIFICATE.c.device == ENROLLED.c.device
    )
    rows = connection.execute(query.group_by(*ENROLLED.columns).order_by(ENROLLED.c.device))
    return [Enrolled(row.device, row.state, row.serial, row.changed_ms, row.expires_ms) for row in rows]


def all_names(connection: Connection) -> list[str]:
    """Every box that was let in or heard."""
    heard, let_in = connection.scalars(select(DEVICE.c.device)), connection.scalars(select(ENROLLED.c.device))
    return sorted({*heard, *let_in})


def barred(connection: Connection, devices: Iterable[str]) -> frozenset[str]:
    """Those that were decommissioned."""
    which = (ENROLLED.c.device.in_(sorted(set(devices))), ENROLLED.c.state == "decommissioned")
    return frozenset(connection.scalars(select(ENROLLED.c.device).where(*which)))


_FIELDS = {"key_sha256": "key"}


def _token(row: Row[tuple[object, ...]]) -> EnrolToken:
    bounds = Bounds(row.uses, row.names, tuple(json.loads(row.only_for)), json.loads(row.labels))
    return EnrolToken(row.id, row.title, bounds, row.used, row.created_ms, row.expires_ms, row.revoked_ms)


def _certificate(row: Row[tuple[object, ...]]) -> StoredCertificate:
    return StoredCertificate(
        row.fingerprint,
        row.serial,
        row.device,
        row.key_sha256,
        row.token,
        row.issued_ms,
        row.expires_ms,
        row.revoked_ms,
    )
