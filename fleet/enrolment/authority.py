"""The fleet's certificate authority: P-256 keys, certificates for boxes and for who uses the broker, those revoked.

What a box writes into its request besides its key is not looked at: the name is the server's to give.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fleet.enrolment.errors import EnrolmentRefusedError

_EARLIER = dt.timedelta(hours=1)  # a box whose clock is a little slow takes what was signed just now
_USES = {"client": ExtendedKeyUsageOID.CLIENT_AUTH, "server": ExtendedKeyUsageOID.SERVER_AUTH}


@dataclass(frozen=True)
class Issued:
    """A certificate that was signed.

    Args:
        pem: it, and those between it and the root.
        serial: its number, in hexadecimal.
        fingerprint: SHA-256 of it.
        key: SHA-256 of its public key (SubjectPublicKeyInfo).
        issued_ms: from when it holds, milliseconds since 1970.
        expires_ms: until when.
    """

    pem: str
    serial: str
    fingerprint: str
    key: str
    issued_ms: int
    expires_ms: int


@dataclass(frozen=True)
class Revoked:
    """A certificate that holds no more: its number in hexadecimal, and since when in milliseconds since 1970."""

    serial: str
    at_ms: int


class Authority:
    """Signs.

    Args:
        chain: its certificate, then those above it.
        key: its private key.
    """

    def __init__(self, chain: Sequence[x509.Certificate], key: EllipticCurvePrivateKey) -> None:
        self._chain = tuple(chain)
        self._key = key

    @property
    def certificate(self) -> x509.Certificate:
        """Its own."""
        return self._chain[0]

    @property
    def pem(self) -> str:
        """What whoever meets its boxes has to trust."""
        return "".join(_pem(each) for each in self._chain)

    @property
    def key(self) -> EllipticCurvePrivateKey:
        """Its private key."""
        return self._key

    @property
    def fingerprint(self) -> str:
        """SHA-256 of its certificate."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    @property
    def expires(self) -> dt.datetime:
        """When it ends itself."""
        return self.certificate.not_valid_after_utc

    def issue(
        self,
        key: EllipticCurvePublicKey,
        name: str,
        now_ms: int,
        days: int,
        uses: Iterable[str] = ("client",),
        hosts: Iterable[str] = (),
    ) -> Issued:
        """Sign a certificate.

        Args:
            key: whose.
            name: its common name; of a box its id.
            now_ms: now.
            days: that it holds; not beyond the authority's own end.
            uses: ``client`` and ``server``.
            hosts: names and addresses of a server.
        """
        now = dt.datetime.fromtimestamp(now_ms // 1000, dt.timezone.utc)
        ends = min(now + dt.timedelta(days=days), self.expires)
        uses_of = x509.ExtendedKeyUsage([_USES[use] for use in uses])
        usage = _usage(digital_signature=True)
        names = x509.SubjectAlternativeName([_general(host) for host in (*hosts, *(() if hosts else (name,)))])
        above = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = _builder(key, name, self.certificate.subject, now - _EARLIER, ends)
        for extension, critical in (
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (usage, True),
            (uses_of, False),
            (names, False),
            (above, False),
        ):
            builder = builder.add_extension(extension, critical)
        signed = builder.sign(self._key, hashes.SHA256())
        between = (each for each in self._chain if each.issuer != each.subject)
        return Issued(
            "".join(map(_pem, (signed, *between))),
            f"{signed.serial_number:x}",
            signed.fingerprint(hashes.SHA256()).hex(),
            key_digest(key),
            _ms(signed.not_valid_before_utc),
            _ms(signed.not_valid_after_utc),
        )

    def revoked(self, certificates: Iterable[Revoked], now_ms: int) -> str:
        """The list of certificates that hold no more, as PEM.

        It is good until the authority itself ends: a broker with a list that is out of date refuses everybody, and what
        an old list would keep from whoever has the file they could keep from it anyway.
        """
        now = dt.datetime.fromtimestamp(now_ms // 1000, dt.timezone.utc)
        builder = x509.CertificateRevocationListBuilder(self.certificate.subject, now - _EARLIER, self.expires)
        above = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(above, critical=False)
        builder = builder.add_extension(x509.CRLNumber(now_ms), critical=False)
        for each in certificates:
            at = dt.datetime.fromtimestamp(each.at_ms // 1000, dt.timezone.utc)
            row = x509.RevokedCertificateBuilder(int(each.serial, 16), at)
            builder = builder.add_revoked_certificate(row.build())
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def new_key() -> EllipticCurvePrivateKey:
    """A private key."""
    return generate_private_key(SECP256R1())


def new_authority(name: str, now_ms: int, days: int) -> Authority:
    """An authority that nobody is above."""
    key = new_key()
    now = dt.datetime.fromtimestamp(now_ms // 1000, dt.timezone.utc)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = _builder(key.public_key(), name, subject, now - _EARLIER, now + dt.timedelta(days=days))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
    return Authority([builder.sign(key, hashes.SHA256())], key)


def read_request(pem: str) -> EllipticCurvePublicKey:
    """The key in a request for a certificate, of which whoever made it has the private half.

    Raises:
        EnrolmentRefusedError: it is none, or of another kind of key.
    """
    try:
        request = x509.load_pem_x509_csr(pem.encode())
        key = request.public_key()
        whole = request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise EnrolmentRefusedError("csr", "expected a request for a certificate (PEM), got something else") from error
    if not (isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1) and whole):
        raise EnrolmentRefusedError("csr", "expected a request for a P-256 key, signed by it, got another one")
    return key


def read_certificate(pem: str) -> tuple[str, EllipticCurvePublicKey]:
    """The SHA-256 of a certificate, and its key.

    Raises:
        EnrolmentRefusedError: it is none, or of another kind of key.
    """
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        key = certificate.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise EnrolmentRefusedError("certificate", "expected a certificate (PEM), got something else") from error
    if not isinstance(key, EllipticCurvePublicKey):
        raise EnrolmentRefusedError("certificate", "expected a certificate of a P-256 key, got another one")
    return certificate.fingerprint(hashes.SHA256()).hex(), key


def signed_by(key: EllipticCurvePublicKey, signature: bytes, data: bytes) -> bool:
    """Whether a signature is of a key."""
    try:
        key.verify(signature, data, ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def key_digest(key: EllipticCurvePublicKey) -> str:
    """SHA-256 of a public key."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _builder(
    key: EllipticCurvePublicKey, name: str, issuer: x509.Name, begins: dt.datetime, ends: dt.datetime
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder(issuer, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key)
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(begins).not_valid_after(ends)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _ms(at: dt.datetime) -> int:
    return int(at.timestamp() * 1000)
