"""Boxes come in, come again, are renewed: names, uses, certificates and what the audit log says."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.provisioning.keys import make_key, make_request, own_certificate, sign_renewal
from contracts.enrolment import RenewRequest
from fleet.enrolment.errors import EnrolmentRefusedError
from fleet.enrolment.users import issue_user
from fleet.store.audit import AuditLog
from fleet.store.enrolment import all_enrolled, set_state
from tests.fakes.fleet import hello
from tests.fakes.inventory import MemoryCounts
from tests.unit.fleet.enrolment.enrolments import AUTHOR, DAY_MS, Fleet


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


def refused(fleet: Fleet, token: str, name: str | None = None, **more: object) -> str:
    """The word that a box is refused with."""
    with pytest.raises(EnrolmentRefusedError) as error:
        fleet.enrol(token, name, **more)  # type: ignore[arg-type]
    assert token not in str(error.value)
    return error.value.code


def names_in(fleet: Fleet) -> dict[str, str]:
    with fleet.database.reading() as connection:
        return {each.device: each.state for each in all_enrolled(connection)}


def test_a_box_is_let_in_with_a_certificate_of_its_own_key_for_its_name_alone(fleet: Fleet) -> None:
    answer = fleet.enrol(fleet.token(labels={"site": "a"}), "gate-1")
    certificate = x509.load_pem_x509_certificate(answer.certificate.encode())
    certificate.verify_directly_issued_by(fleet.authority.certificate)
    assert [one.value for one in certificate.subject] == ["gate-1"]
    extensions = certificate.extensions
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    usages = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.CLIENT_AUTH], "a box's certificate makes it no server"
    assert (answer.device, answer.labels, answer.broker.host) == ("gate-1", {"site": "a"}, "broker.example")
    assert names_in(fleet) == {"gate-1": "active"}
    (made, _) = AuditLog(fleet.database).newest(2)
    assert (made.entry.action, made.entry.subject) == ("enrol.device", "gate-1")
    assert made.entry.author.who.startswith("token ")


def test_what_a_box_writes_into_its_request_besides_its_key_is_not_taken(fleet: Fleet) -> None:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

    from contracts.enrolment import EnrolRequest

    key = load_pem_private_key(make_key(), None)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fleet")])
    builder = x509.CertificateSigningRequestBuilder(subject)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    csr = builder.sign(key, SHA256()).public_bytes(Encoding.PEM).decode()  # type: ignore[arg-type]
    request = EnrolRequest.model_validate({"token": fleet.token(), "csr": csr, "name": "gate-1"})
    answer = fleet.enrolment.enrol(request, fleet.now_ms)
    certificate = x509.load_pem_x509_certificate(answer.certificate.encode())
    assert [one.value for one in certificate.subject] == ["gate-1"]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_token_lets_in_as_many_as_it_says(fleet: Fleet) -> None:
    token = fleet.token(uses=2)
    assert fleet.enrol(token, "a").device == "a"
    assert fleet.enrol(token, "b").device == "b"
    assert refused(fleet, token, "c") == "token_used_up"
    assert names_in(fleet) == {"a": "active", "b": "active"}


def test_a_box_whose_answer_was_lost_comes_again_with_the_same_key_and_is_not_counted_twice(fleet: Fleet) -> None:
    token, key = fleet.token(uses=2), make_key()
    first = fleet.enrol(token, None, key=key, serial=None)
    assert fleet.enrol(token, None, key=key, serial=None).device == first.device, "also where its name was made up"
    assert fleet.tokens.all()[0].used == 1


def test_a_name_is_not_taken_from_a_box_by_another_key(fleet: Fleet) -> None:
    token = fleet.token(uses=5)
    fleet.enrol(token, "gate-1")
    assert refused(fleet, token, "gate-1") == "name_taken"
    assert fleet.tokens.all()[0].used == 1, "who is refused uses nothing up"


def test_a_box_that_was_set_up_by_hand_keeps_its_name(fleet: Fleet) -> None:
    from fleet.ingest import Arrived, Ingest
    from fleet.store.devices import DeviceStore

    ingest = Ingest(DeviceStore(fleet.database), MemoryCounts())
    ingest.take([Arrived(*hello("box-1"), False, fleet.now_ms)])
    assert refused(fleet, fleet.token(), "box-1") == "name_taken"


def test_no_box_gets_the_name_of_who_has_other_rights_at_the_broker(fleet: Fleet) -> None:
    from fleet.enrolment.authority import new_key

    assert refused(fleet, fleet.token(), "fleet") == "name_taken", "it is reserved"
    issue_user(fleet.database, fleet.authority, new_key().public_key(), "billing", 9, AUTHOR, fleet.now_ms)
    assert refused(fleet, fleet.token(), "billing") == "name_taken", "it has a certificate"
    fleet.enrol(fleet.token(), "gate-1")
    with pytest.raises(EnrolmentRefusedError):
        issue_user(fleet.database, fleet.authority, new_key().public_key(), "gate-1", 9, AUTHOR, fleet.now_ms)


def test_a_box_that_may_take_anothers_place_ends_the_others_certificate(fleet: Fleet) -> None:
    from fleet.store.enrolment import revoked

    fleet.enrol(fleet.token(), "gate-1")
    with fleet.database.writing() as connection:
        set_state(connection, "gate-1", "allowed", fleet.now_ms)
    fleet.enrol(fleet.token(), "gate-1")
    with fleet.database.reading() as connection:
        assert len(revoked(connection, fleet.now_ms)) == 1
    assert names_in(fleet) == {"gate-1": "active"}
    assert refused(fleet, fleet.token(), "gate-1") == "name_taken", "it was allowed once"


def test_a_wrong_secret_is_as_unknown_as_a_wrong_id(fleet: Fleet) -> None:
    token = fleet.token()
    assert refused(fleet, token[:-32] + "a" * 32, "a") == "token_unknown"
    assert refused(fleet, "enrol-aaaaaaaa-" + token[-32:], "a") == "token_unknown"
    assert refused(fleet, "enrol-x", "a") == "token_unknown"


def test_a_token_that_is_over_or_revoked_lets_nobody_in(fleet: Fleet) -> None:
    short, revoked = fleet.token(days=1), fleet.token(days=9)
    fleet.tokens.revoke(revoked.split("-")[1], AUTHOR, fleet.now_ms)
    fleet.now_ms += DAY_MS
    assert refused(fleet, short, "a") == "token_expired"
    assert refused(fleet, revoked, "a") == "token_revoked"


@pytest.mark.parametrize(
    "csr", ["", "x", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----"]
)
def test_what_is_no_request_for_a_certificate_is_refused(fleet: Fleet, csr: str) -> None:
    from contracts.enrolment import EnrolRequest

    with pytest.raises(EnrolmentRefusedError) as error:
        fleet.enrolment.enrol(EnrolRequest.model_validate({"token": fleet.token(), "csr": csr}), fleet.now_ms)
    assert error.value.code == "csr"


def renewal(identity: bytes, key: bytes, signer: bytes | None = None) -> RenewRequest:
    csr = make_request(key)
    return RenewRequest(certificate=own_certificate(identity), csr=csr, signature=sign_renewal(signer or identity, csr))


def test_a_box_is_renewed_by_its_old_key_and_keeps_its_name(fleet: Fleet) -> None:
    key, new = make_key(), make_key()
    first = fleet.enrol(fleet.token(), "gate-1", key=key)
    fleet.now_ms += 400 * DAY_MS
    again = fleet.enrolment.renew(renewal(key + first.certificate.encode(), new), fleet.now_ms)
    assert again.device == "gate-1"
    assert again.expires == dt.datetime.fromtimestamp(fleet.now_ms / 1000, dt.timezone.utc) + dt.timedelta(days=730)


def test_a_box_that_was_off_until_its_certificate_was_over_is_renewed_all_the_same(fleet: Fleet) -> None:
    key = make_key()
    first = fleet.enrol(fleet.token(), "gate-1", key=key)
    fleet.now_ms += 1_000 * DAY_MS
    assert fleet.enrolment.renew(renewal(key + first.certificate.encode(), make_key()), fleet.now_ms).device == "gate-1"


def test_nobody_else_gets_a_boxs_next_certificate(fleet: Fleet) -> None:
    key, other = make_key(), make_key()
    identity = key + fleet.enrol(fleet.token(), "gate-1", key=key).certificate.encode()
    with pytest.raises(EnrolmentRefusedError, match="not signed by the key"):
        fleet.enrolment.renew(renewal(identity, other, signer=other), fleet.now_ms)
    stranger = Fleet(fleet.folder / "..")
    with pytest.raises(EnrolmentRefusedError, match="issued no such certificate"):
        stranger.enrolment.renew(renewal(identity, other), fleet.now_ms)
    broken = renewal(identity, other).model_copy(update={"signature": "%%%"})
    with pytest.raises(EnrolmentRefusedError, match="not signed by the key"):
        fleet.enrolment.renew(broken, fleet.now_ms)
