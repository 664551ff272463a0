"""The authority's files: ``ca.pem``, its certificate and those above it, and ``ca.key``, for its owner alone."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from contracts.errors import StorageError
from fleet.enrolment.authority import Authority
from fleet.publishing.errors import KeyFileError
from fleet.publishing.passphrases import Passphrases

CERTIFICATE_NAME = "ca.pem"
KEY_NAME = "ca.key"


def write_authority(folder: Path, authority: Authority, passphrase: str | None) -> None:
    """Write an authority's files; the certificate last, so that there is no authority by half.

    Args:
        folder: where.
        authority: it.
        passphrase: that its key's file is encrypted with; None leaves it readable to whoever gets at it.

    Raises:
        KeyFileError: there is one already.
        StorageError: it cannot be written.
    """
    if (folder / CERTIFICATE_NAME).exists():
        raise KeyFileError(str(folder), "there is an authority already", "choose another folder")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / KEY_NAME).unlink(missing_ok=True)  # of one that was not finished
        write_new(folder / KEY_NAME, key_pem(authority.key, passphrase), 0o600)
        write_new(folder / CERTIFICATE_NAME, authority.pem.encode(), 0o644)
    except OSError as error:
        raise StorageError(str(folder), error) from error


def read_authority(folder: Path, passphrases: Passphrases) -> Authority:
    """An authority.

    Raises:
        KeyFileError: a file of it is missing, is something else, or is of another authority.
    """
    return joined(folder / CERTIFICATE_NAME, folder / KEY_NAME, passphrases)


def joined(certificate: Path, key_file: Path, passphrases: Passphrases) -> Authority:
    """An authority of two files.

    Raises:
        KeyFileError: one is missing, is something else, or they do not belong together.
    """
    chain = read_chain(certificate)
    key = _key(key_file, passphrases)
    if chain[0].public_key() != key.public_key():
        do = "name the two files of one authority, its own certificate first in the first one"
        raise KeyFileError(str(key_file), f"is not the key of the certificate {certificate}", do)
    return Authority(chain, key)


def key_pem(key: EllipticCurvePrivateKey, passphrase: str | None = None) -> bytes:
    """A private key as PKCS#8."""
    encryption = BestAvailableEncryption(passphrase.encode()) if passphrase is not None else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def write_new(path: Path, data: bytes, mode: int) -> None:
    """Write a file that is not there yet, and have it on the disk.

    Raises:
        OSError: it is there, or cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_pair(folder: Path, name: str, certificate: str, key: bytes) -> Path:
    """Write a certificate and its key beside each other, the key for its owner alone; the path of the certificate.

    Raises:
        OSError: one is there, or cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_new(folder / f"{name}.key", key, 0o600)
    path = folder / f"{name}.pem"
    write_new(path, certificate.encode(), 0o644)
    return path


def read_chain(path: Path) -> list[x509.Certificate]:
    """An authority's certificate, and those above it.

    Raises:
        KeyFileError: the file cannot be read, or is something else.
    """
    make = "make an authority with `edgetally-fleet ca init`, or name its folder"
    try:
        chain = x509.load_pem_x509_certificates(_read(path, make))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError(str(path), "expected certificates as PEM, got something else", "copy it again") from error
    try:
        signs = chain[0].extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        signs = False
    if not signs:
        do = "put the certificate of an authority first in it (basicConstraints CA:TRUE)"
        raise KeyFileError(str(path), "its first certificate may not sign others", do)
    return chain


def _key(path: Path, passphrases: Passphrases) -> EllipticCurvePrivateKey:
    pem = _read(path, "copy it here, or make an authority with `edgetally-fleet ca init`")
    tries = passphrases.tries(path.name) if b"ENCRYPTED" in pem else iter([None])
    for passphrase in tries:
        try:
            key = load_pem_private_key(pem, passphrase.encode() if passphrase else None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            continue
        if isinstance(key, EllipticCurvePrivateKey):
            return key
        raise KeyFileError(str(path), f"expected an EC key, got {type(key).__name__}", "take a P-256 key")
    raise KeyFileError(
        str(path),
        "is no private key as PEM, or no passphrase that was given opens it",
        "name a file that holds the right one in EDGETALLY_KEY_PASSPHRASE_FILE, or run it in a terminal",
    )


def _read(path: Path, do: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise KeyFileError(str(path), f"cannot be read ({error.strerror})", do) from error
