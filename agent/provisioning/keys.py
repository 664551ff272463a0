"""The box's key, and what is signed with it. The key is made here and never leaves the box.

Importing this takes the package ``cryptography``, which nothing else on a box does.
"""

from __future__ import annotations

import base64
import datetime as dt

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from contracts.enrolment import RENEW_CONTEXT


class WrongCertificateError(ValueError):
    """A certificate is not what was asked for; the text says how."""


def make_key() -> bytes:
    """A new private key, PEM."""
    return generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def is_key(pem: bytes) -> bool:
    """Whether it is a whole private key of the kind that is made here."""
    try:
        _key(pem)
    except ValueError:
        return False
    return True


def make_request(key: bytes) -> str:
    """A request for a certificate, PEM; the name in it is the server's to give."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "edgetally")])
    request = x509.CertificateSigningRequestBuilder(subject).sign(_key(key), SHA256())
    return request.public_bytes(Encoding.PEM).decode()


def sign_renewal(identity: bytes, request: str) -> str:
    """The signature by the key of an identity's file that a request for renewal takes, base64."""
    signature = _key(identity).sign(RENEW_CONTEXT + request.encode(), ECDSA(SHA256()))
    return base64.b64encode(signature).decode()


def own_certificate(identity: bytes) -> str:
    """The box's certificate in an identity's file, without those above it; PEM.

    Raises:
        WrongCertificateError: there is none.
    """
    return _certificate(identity).public_bytes(Encoding.PEM).decode()


def validity(identity: bytes) -> tuple[dt.datetime, dt.datetime]:
    """From when and until when the certificate in an identity's file holds.

    Raises:
        WrongCertificateError: there is none.
    """
    found = _certificate(identity)
    return found.not_valid_before_utc, found.not_valid_after_utc


def check_certificate(certificate: str, key: bytes, device: str) -> str:
    """See that a certificate is of a key and a name; its SHA-256.

    Raises:
        WrongCertificateError: it is not, or is none.
    """
    found = _certificate(certificate.encode())
    if found.public_key() != _key(key).public_key():
        raise WrongCertificateError("it is not of this box's key")
    names = [str(one.value) for one in found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [device]:
        raise WrongCertificateError(f"it is of {names}, not of {device}")
    return found.fingerprint(SHA256()).hex()


def _certificate(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)  # the first in it
    except (ValueError, UnsupportedAlgorithm) as error:
        raise WrongCertificateError("it is no certificate as PEM") from error


def _key(pem: bytes) -> EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(pem, None)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError("no private key that can be used") from error
    if not isinstance(key, EllipticCurvePrivateKey):
        raise ValueError("no EC key")  # noqa: TRY004 - what it holds, not how we were called
    return key
