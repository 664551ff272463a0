"""Users of the broker that are no boxes: their names are kept as boxes' are, so that no box gets one."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from fleet.broker.rules import Users
from fleet.enrolment.authority import Authority, Issued
from fleet.enrolment.rules import check_name
from fleet.store import enrolment as store
from fleet.store.audit import AuditEntry, Author, record
from fleet.store.database import Database


def issue_user(
    database: Database,
    authority: Authority,
    key: EllipticCurvePublicKey,
    name: str,
    days: int,
    author: Author,
    now_ms: int,
) -> Issued:
    """A certificate for a user of the broker; a further one where it has one.

    Raises:
        WrittenError: nobody may be called that.
        EnrolmentRefusedError: a box is called that, or it was decommissioned.
        DatabaseError: the database cannot be used.
    """
    Users(controllers=(name,))  # says what is wrong with a name
    with database.writing() as connection:
        state = store.state_of(connection, name)
        if state != "user":
            check_name(name, state, known=store.is_known(connection, name))
        store.set_state(connection, name, "user", now_ms)
        issued = authority.issue(key, name, now_ms, days)
        kept = store.StoredCertificate(
            issued.fingerprint, issued.serial, name, issued.key, None, issued.issued_ms, issued.expires_ms
        )
        store.keep_certificate(connection, kept)
        summary = f"{name} may use the broker, certificate {issued.serial}"
        record(connection, AuditEntry(now_ms, author, "enrol.user", name, summary))
    return issued
