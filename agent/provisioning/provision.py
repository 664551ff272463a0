"""Provisioning: the key first, then the certificate, then whom the box trusts, and last of all that it is provisioned.

Killed anywhere, the box is provisioned or it is not, and the same command goes on: the key that was asked with is kept,
by which the server knows a box whose answer was lost.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from agent.disk import Disk
from agent.provisioning.errors import ProvisionedError
from agent.provisioning.folder import PENDING, IdentityFolder
from agent.provisioning.identity import Provisioned
from agent.provisioning.keys import (
    WrongCertificateError,
    check_certificate,
    is_key,
    make_key,
    make_request,
    own_certificate,
    sign_renewal,
    validity,
)
from agent.provisioning.ports import EnrolServer
from agent.remote.signing import KEYS_NAME
from agent.update.trust.operators import write_operator_keys
from agent.update.trust.releases import ROOT_NAME
from contracts.desired import OperatorKeys
from contracts.enrolment import EnrolAnswer, EnrolRequest, Invitation, RenewRequest, token_id
from contracts.errors import ServerError, StorageError

_SHORT = 12  # characters of a digest in a file's name


@dataclass(frozen=True)
class Done:
    """What was done.

    Args:
        record: who the box is now.
        new: whether it was not before.
        root_kept: whether it had another TUF root, which stays.
    """

    record: Provisioned
    new: bool
    root_kept: bool = False


def provision(
    folder: IdentityFolder, invitation: Invitation, serial: str | None, server: EnrolServer, *, again: bool = False
) -> Done:
    """Give the box its identity; a box that has it already keeps it.

    Args:
        folder: of its files.
        invitation: that lets it in.
        serial: number of its board.
        server: that the invitation names.
        again: have it be another one where it is provisioned, by another invitation than this one.

    Raises:
        ProvisionedError: it is provisioned by another server, or under another name.
        RefusedError: the server does not let it in.
        ServerError: there is no answer, or a wrong one.
        StorageError: its files cannot be written; it is as before.
    """
    before = folder.provisioned
    if before is not None and not (again and _is_news(before, invitation)):
        _check_same(before, invitation)
        folder.sweep(before)
        return Done(before, new=False)
    key = _pending_key(folder)
    request = EnrolRequest(token=invitation.token, csr=make_request(key), name=invitation.name, serial=serial)
    answer = server.enrol(request)
    return _keep(folder, invitation, key, answer, again=again)


def renew(folder: IdentityFolder, record: Provisioned, server: EnrolServer) -> Provisioned:
    """Give the box its next certificate, of a new key; nothing else of it changes.

    Args:
        folder: of its files.
        record: who it is.
        server: that let it in.

    Raises:
        RefusedError: the server gives it none.
        ServerError: there is no answer, or a wrong one.
        StorageError: it cannot be written; the one before is there.
    """
    before = _read(folder.own, record.identity) or b""
    key = _pending_key(folder)
    csr = make_request(key)
    try:
        own = own_certificate(before)
    except WrongCertificateError as error:
        raise ProvisionedError(
            f"{folder.own.directory / record.identity} is damaged: {error}; provision the box anew (--again)"
        ) from error
    answer = server.renew(RenewRequest(certificate=own, csr=csr, signature=sign_renewal(before, csr)))
    _check(record.server, answer, key, record.device)
    folder.own.replace(record.identity, key + answer.certificate.encode())
    after = record.model_copy(update={"expires": answer.expires})
    folder.keep(after)
    folder.sweep(after)
    return after


def is_due(folder: IdentityFolder, record: Provisioned, now: dt.datetime) -> bool:
    """Whether the box should get its next certificate: half of the time of its own is over, or nobody can tell.

    Raises:
        StorageError: it cannot be read.
    """
    try:
        begins, ends = validity(_read(folder.own, record.identity) or b"")
    except WrongCertificateError:
        return True
    return now >= begins + (ends - begins) / 2


def _is_news(before: Provisioned, invitation: Invitation) -> bool:
    """Whether an invitation is not the one by which the box became what it is: it may be given twice."""
    same_name = invitation.name in {None, before.device}
    return not (same_name and before.token == token_id(invitation.token.get_secret_value()))


def _check_same(before: Provisioned, invitation: Invitation) -> None:
    if before.server != invitation.server:
        differs = f"by {before.server}"
    elif invitation.name not in {None, before.device}:
        differs = f"as {before.device}"
    else:
        return
    raise ProvisionedError(
        f"this box is provisioned {differs} already; give --again where it should become another one"
    )


def _pending_key(folder: IdentityFolder) -> bytes:
    folder.prepare()
    kept = _read(folder.own, PENDING)
    if kept is not None and is_key(kept):
        return kept
    key = make_key()
    folder.own.replace(PENDING, key)
    return key


def _keep(folder: IdentityFolder, invitation: Invitation, key: bytes, answer: EnrolAnswer, *, again: bool) -> Done:
    digest = _check(invitation.server, answer, key, invitation.name or answer.device)[:_SHORT]
    broker_ca = None if answer.broker.ca is None else f"broker-ca-{digest}.pem"
    if answer.broker.ca is not None and broker_ca is not None:
        folder.own.replace(broker_ca, answer.broker.ca.encode())
    root_kept = _keep_trust(folder, answer, again=again)
    identity = f"identity-{digest}.pem"
    folder.own.replace(identity, key + answer.certificate.encode())
    record = Provisioned(
        device=answer.device,
        server=invitation.server,
        token=token_id(invitation.token.get_secret_value()),
        ca=invitation.ca,
        identity=identity,
        broker_host=answer.broker.host,
        broker_port=answer.broker.port,
        broker_ca=broker_ca,
        update_server=answer.update_server,
        labels=answer.labels,
        expires=answer.expires,
    )
    folder.keep(record)
    folder.sweep(record)
    return Done(record, new=True, root_kept=root_kept)


def _keep_trust(folder: IdentityFolder, answer: EnrolAnswer, *, again: bool) -> bool:
    """Write whom the box trusts; whether it had another root, as of its image, which nobody replaces over a network."""
    root = None if answer.root is None else answer.root.encode()
    kept = _read(folder.state, ROOT_NAME)
    if answer.operator_keys is not None and (again or _read(folder.state, KEYS_NAME) is None):
        write_operator_keys(folder.state, OperatorKeys(keys=answer.operator_keys))
    if root is None or kept == root:
        return False
    if kept is None or again:
        folder.state.replace(ROOT_NAME, root)
        return False
    return True


def _read(disk: Disk, name: str) -> bytes | None:
    try:
        return disk.read(name)
    except OSError as error:
        raise StorageError(str(disk.directory / name), error) from error


def _check(server: str, answer: EnrolAnswer, key: bytes, device: str) -> str:
    """The SHA-256 of the certificate in an answer, where it is what was asked for."""
    try:
        return check_certificate(answer.certificate, key, device)
    except WrongCertificateError as error:
        raise ServerError(server, f"it sent a wrong certificate: {error}", "tell who runs it") from error
