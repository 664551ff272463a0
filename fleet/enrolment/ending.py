"""Ending a box for good, and letting a name be taken again: each in one transaction with its audit entry."""

from __future__ import annotations

from contracts.errors import UnknownNameError
from fleet.enrolment.authority import Authority, Revoked
from fleet.enrolment.errors import EnrolmentRefusedError
from fleet.store import enrolment as store
from fleet.store.audit import AuditEntry, Author, record
from fleet.store.database import Database
from fleet.store.forgetting import forget_device


def decommission(database: Database, device: str, author: Author, now_ms: int) -> int:
    """End a box: its certificates hold no more, the inventory forgets it, and its name does not come back by itself.

    Done twice it is done once.

    Returns:
        How many certificates were revoked.

    Raises:
        UnknownNameError: no box of that name was ever let in or heard.
        DatabaseError: the database cannot be used.
    """
    with database.writing() as connection:
        known = forget_device(connection, device, now_ms, "decommissioned")
        state = store.state_of(connection, device)
        if state is None and not known:
            raise UnknownNameError("box", device, store.all_names(connection))
        revoked = store.revoke_all(connection, device, now_ms)
        if state != "decommissioned":
            store.set_state(connection, device, "decommissioned", now_ms)
            summary = f"{device} is decommissioned, {revoked} certificates are revoked"
            record(connection, AuditEntry(now_ms, author, "enrol.decommission", device, summary))
    return revoked


def allow(database: Database, device: str, author: Author, now_ms: int) -> None:
    """Let one box come and take a name that another has or had; the other's certificates end when it does.

    Raises:
        UnknownNameError: no box of that name was ever let in or heard.
        EnrolmentRefusedError: it is the name of a user of the broker.
        DatabaseError: the database cannot be used.
    """
    with database.writing() as connection:
        state = store.state_of(connection, device)
        if state is None and not store.is_known(connection, device):
            raise UnknownNameError("box", device, store.all_names(connection))
        if state == "user":
            raise EnrolmentRefusedError("name_taken", f"{device} is no box's name but a user's of the broker")
        if state != "allowed":
            store.set_state(connection, device, "allowed", now_ms)
            summary = f"{device} may be taken by a box that comes with a token"
            record(connection, AuditEntry(now_ms, author, "enrol.allow", device, summary))


def revocation_list(database: Database, authority: Authority, now_ms: int) -> str:
    """The certificates that hold no more, as PEM for a broker.

    Raises:
        DatabaseError: the database cannot be read.
    """
    with database.reading() as connection:
        found = store.revoked(connection, now_ms)
    return authority.revoked((Revoked(each.serial, each.revoked_ms or now_ms) for each in found), now_ms)
