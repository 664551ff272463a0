"""Letting boxes in, renewing their certificates, and ending them: each in one transaction with its audit entry."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import secrets

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from sqlalchemy import Connection

from contracts.enrolment import RENEW_CONTEXT, EnrolAnswer, EnrolRequest, RenewRequest
from fleet.enrolment.authority import Authority, Issued, key_digest, read_certificate, read_request, signed_by
from fleet.enrolment.errors import EnrolmentRefusedError
from fleet.enrolment.rules import Asked, check_name, check_token, choose_name
from fleet.enrolment.terms import Terms
from fleet.enrolment.tokens import EnrolToken
from fleet.store import enrolment as store
from fleet.store.audit import AuditEntry, Author, record
from fleet.store.database import Database

_CHANCE_BYTES = 4


class Enrolment:
    """Lets boxes in; for use by several threads at once.

    Args:
        database: that knows tokens and boxes.
        authority: signs their certificates.
        terms: what they are given.
    """

    def __init__(self, database: Database, authority: Authority, terms: Terms) -> None:
        self._database = database
        self._authority = authority
        self._terms = terms

    @property
    def server_ca(self) -> str:
        """PEM of who signed this server's certificate."""
        return self._terms.server_ca

    def enrol(self, request: EnrolRequest, now_ms: int) -> EnrolAnswer:
        """Let a box in.

        One that comes again with the same token and key, as its answer was lost, gets another certificate under the
        same name, and is not counted again.

        Raises:
            EnrolmentRefusedError: it is not let in; nothing changed.
            DatabaseError: the database cannot be used.
        """
        key = read_request(request.csr)
        asked = Asked(request.name, request.serial)
        with self._database.writing() as connection:
            token = store.find_token(connection, request.token.get_secret_value())
            before = None if token is None else _let_in_before(connection, key_digest(key), token.id)
            token = check_token(token, now_ms, again=before is not None)
            device = before or self._admit(connection, token, asked, now_ms)
            issued = self._issue(connection, key, device, token.id, now_ms)
            if before is None:
                store.use_token(connection, token.id)
            author = Author(f"token {token.id}", "api")
            summary = f"{device} is let in, certificate {issued.serial}"
            record(connection, AuditEntry(now_ms, author, "enrol.device", device, summary))
        return self._answer(device, issued, token)

    def renew(self, request: RenewRequest, now_ms: int) -> EnrolAnswer:
        """Give a box its next certificate; also where its last one is over, as long as it was not revoked.

        Raises:
            EnrolmentRefusedError: it gets none.
            DatabaseError: the database cannot be used.
        """
        key = read_request(request.csr)
        fingerprint, old_key = read_certificate(request.certificate)
        if not signed_by(old_key, _decoded(request.signature), RENEW_CONTEXT + request.csr.encode()):
            raise EnrolmentRefusedError("certificate", "the request is not signed by the key of the certificate")
        with self._database.writing() as connection:
            known = _certificate_of(connection, fingerprint)
            if known is None:
                raise EnrolmentRefusedError(
                    "certificate", "this server issued no such certificate; provision the box anew"
                )
            if known.revoked_ms is not None:
                raise EnrolmentRefusedError(
                    "decommissioned", f"the certificate of {known.device} was revoked; provision the box anew"
                )
            issued = self._issue(connection, key, known.device, None, now_ms)
            summary = f"{known.device} has the certificate {issued.serial} after {known.serial}"
            record(connection, AuditEntry(now_ms, Author(known.device, "api"), "enrol.renew", known.device, summary))
        return self._answer(known.device, issued, None)

    def _admit(self, connection: Connection, token: EnrolToken, asked: Asked, now_ms: int) -> str:
        device = choose_name(token, asked, secrets.token_hex(_CHANCE_BYTES))
        state = store.state_of(connection, device)
        taken = store.is_known(connection, device) or device in self._terms.reserved
        check_name(device, state, known=taken)
        if state is None:
            if not store.claim(connection, device, now_ms, asked.serial):
                check_name(device, "active", known=True)  # another box came first
        else:
            store.revoke_all(connection, device, now_ms)  # of the box that it takes the place of
            store.set_state(connection, device, "active", now_ms, asked.serial)
        return device

    def _issue(
        self, connection: Connection, key: EllipticCurvePublicKey, device: str, token: str | None, now_ms: int
    ) -> Issued:
        issued = self._authority.issue(key, device, now_ms, self._terms.certificate_days)
        kept = store.StoredCertificate(
            issued.fingerprint, issued.serial, device, issued.key, token, issued.issued_ms, issued.expires_ms
        )
        store.keep_certificate(connection, kept)
        return issued

    def _answer(self, device: str, issued: Issued, token: EnrolToken | None) -> EnrolAnswer:
        return EnrolAnswer(
            device=device,
            certificate=issued.pem,
            broker=self._terms.broker,
            server_ca=self._terms.server_ca,
            update_server=self._terms.update_server,
            root=self._terms.root,
            operator_keys=self._terms.operator_keys,
            labels={} if token is None else dict(token.bounds.labels),
            issued=_utc(issued.issued_ms),
            expires=_utc(issued.expires_ms),
        )


def _let_in_before(connection: Connection, key: str, token: str) -> str | None:
    """The box that a token let in with a key, held so that nobody ends it meanwhile; None where there is none."""
    device = store.let_in_before(connection, key, token)
    if device is None:
        return None
    store.state_of(connection, device)  # waits for whoever ends it now
    return store.let_in_before(connection, key, token)


def _certificate_of(connection: Connection, fingerprint: str) -> store.StoredCertificate | None:
    """A certificate, its box held so that nobody ends it meanwhile."""
    known = store.certificate_of(connection, fingerprint)
    if known is None:
        return None
    store.state_of(connection, known.device)
    return store.certificate_of(connection, fingerprint)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _utc(ms: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(ms / 1000, dt.timezone.utc)
