"""Key files: a private key as encrypted PEM, and beside it what may be known of it.

``NAME.pem`` is PKCS#8 as OpenSSL reads it, for its owner alone; ``NAME.pub.json`` is public. Which of the keys are in
use stands in the repository's signed metadata, not here.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import AwareDatetime
from securesystemslib.signer import CryptoSigner, SSlibKey

from contracts.desired import OperatorKey
from contracts.documents import Id, MachineModel, Sha256, read_document
from contracts.errors import DocumentError, StorageError
from fleet.publishing.errors import KeyFileError
from fleet.publishing.passphrases import Passphrases
from fleet.publishing.roles import KeyRole
from runtime.documents import load_json

_PRIVATE = ".pem"
_PUBLIC = ".pub.json"
_NUMBER = re.compile(r"-(\d{1,6})$")


class KeyInfo(MachineModel):
    """What may be known of a key.

    Attributes:
        format: of this document.
        role: what it signs.
        name: of its files.
        keyid: what metadata calls it.
        key: its public half.
        created: when.
        revoked: whether it may never be used again.
    """

    format: Literal[1] = 1
    role: KeyRole
    name: Id
    keyid: Sha256
    key: OperatorKey
    created: AwareDatetime
    revoked: bool = False

    @property
    def public(self) -> SSlibKey:
        """As TUF metadata holds it."""
        return SSlibKey.from_dict(self.keyid, self.key.model_dump())

    @property
    def number(self) -> int:
        """Which of its role's: ``online-2`` is the second."""
        found = _NUMBER.search(self.name)
        return int(found[1]) if found else 1


def make_key(folder: Path, role: KeyRole, name: str, now: datetime, passphrase: str | None) -> KeyInfo:
    """Make a key and write its two files.

    Args:
        folder: where; made with the first one, for its owner alone.
        role: what it signs.
        name: of its files.
        now: UTC.
        passphrase: that its file is encrypted with; None leaves it readable to whoever gets at it.

    Raises:
        KeyFileError: there is a key of that name.
        StorageError: it cannot be written.
    """
    private = Ed25519PrivateKey.generate()
    public = CryptoSigner(private).public_key
    key = OperatorKey.model_validate(public.to_dict())
    info = KeyInfo(role=role, name=name, keyid=public.keyid, key=key, created=now)
    encryption = BestAvailableEncryption(passphrase.encode()) if passphrase is not None else NoEncryption()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write_new(folder / f"{name}{_PRIVATE}", pem, 0o600)
    _write_new(folder / f"{name}{_PUBLIC}", _as_text(info), 0o644)
    return info


class Keyring:
    """The keys of some folders.

    Args:
        folders: that hold them; the first is where new ones go.
        passphrases: that open them.
    """

    def __init__(self, folders: Sequence[Path], passphrases: Passphrases) -> None:
        self.folders = tuple(folders)
        self.passphrases = passphrases
        self._signers: dict[str, CryptoSigner] = {}

    def all(self) -> list[KeyInfo]:
        """Every key that is known, by its public file; oldest first.

        Raises:
            KeyFileError: such a file is damaged.
        """
        return sorted((info for info, _ in self._files()), key=lambda info: (info.role, info.number, info.name))

    def of(self, role: KeyRole) -> list[KeyInfo]:
        """Those of a role that were not revoked, oldest first.

        Raises:
            KeyFileError: a key's file is damaged.
        """
        return [info for info in self.all() if info.role == role and not info.revoked]

    def named(self, name: str) -> KeyInfo | None:
        """A key by its name, its key id or the first eight or more characters of that.

        Raises:
            KeyFileError: a key's file is damaged.
        """
        short = 8
        for info in self.all():
            if name == info.name or (len(name) >= short and info.keyid.startswith(name)):
                return info
        return None

    def name_of(self, keyid: str) -> str:
        """What people call a key."""
        info = next((info for info in self.all() if info.keyid == keyid), None)
        return f"{info.name} ({keyid[:12]})" if info else keyid[:12]

    def has_private(self, keyid: str) -> bool:
        """Whether a key's private file is at hand."""
        return self._private_file(keyid) is not None

    def signer(self, keyid: str) -> CryptoSigner | None:
        """Signs with a key; None where its private file is not at hand.

        Raises:
            KeyFileError: it cannot be opened.
        """
        if keyid not in self._signers:
            path = self._private_file(keyid)
            if path is None:
                return None
            self._signers[keyid] = _open(path, keyid, self.passphrases)
        return self._signers[keyid]

    def make(self, role: KeyRole, folder: Path, now: datetime, *, unencrypted: bool) -> KeyInfo:
        """Make the next key of a role.

        Raises:
            KeyFileError: there is no passphrase for it.
            StorageError: it cannot be written.
        """
        numbers = [info.number for info in self.all() if info.role == role]
        name = f"{role}-{max(numbers, default=0) + 1}"
        return make_key(folder, role, name, now, None if unencrypted else self.passphrases.new())

    def mark_revoked(self, keyid: str) -> None:
        """Remember that a key may never be used again.

        Raises:
            StorageError: it cannot be written.
        """
        for info, path in self._files():
            if info.keyid == keyid:
                new = path.with_name(f".{path.name}.new")
                new.unlink(missing_ok=True)
                _write_new(new, _as_text(info.model_copy(update={"revoked": True})), 0o644)
                new.replace(path)

    def _files(self) -> Iterator[tuple[KeyInfo, Path]]:
        for folder in self.folders:
            for path in sorted(folder.glob(f"*{_PUBLIC}")):
                yield _read_info(path), path

    def _private_file(self, keyid: str) -> Path | None:
        for info, path in self._files():
            private = path.with_name(f"{info.name}{_PRIVATE}")
            if info.keyid == keyid and private.is_file():
                return private
        return None


def _read_info(path: Path) -> KeyInfo:
    try:
        return read_document(KeyInfo, load_json(path), str(path))
    except DocumentError as error:
        raise KeyFileError(str(path), "is no public key file of edgetally", "take it away, or copy it again") from error


def _open(path: Path, keyid: str, passphrases: Passphrases) -> CryptoSigner:
    try:
        pem = path.read_bytes()
    except OSError as error:
        raise KeyFileError(str(path), f"cannot be read ({error.strerror})", "check its owner and mode") from error
    private = _decrypted(path, pem, passphrases)
    signer = CryptoSigner(private)
    if signer.public_key.keyid != keyid:
        raise KeyFileError(str(path), "is not the private half of the key beside it", "copy both files again")
    return signer


def _decrypted(path: Path, pem: bytes, passphrases: Passphrases) -> Ed25519PrivateKey:
    if b"ENCRYPTED" not in pem:
        return _loaded(path, pem, None)
    for passphrase in passphrases.tries(path.name):
        with contextlib.suppress(ValueError):  # what the library says of a passphrase that does not fit
            return _loaded(path, pem, passphrase)
    raise KeyFileError(
        str(path),
        "no passphrase that was given opens it",
        "name a file that holds the right one in EDGETALLY_KEY_PASSPHRASE_FILE, or run it in a terminal",
    )


def _loaded(path: Path, pem: bytes, passphrase: str | None) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(pem, passphrase.encode() if passphrase else None)
    except (TypeError, ValueError) as error:
        if passphrase is not None:
            raise ValueError from error
        raise KeyFileError(str(path), "expected a private key as PEM, got something else", "copy it again") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(
            str(path), f"expected an Ed25519 key, got {type(key).__name__}", "make one with `keys create`"
        )
    return key


def _as_text(info: KeyInfo) -> bytes:
    return (info.model_dump_json(indent=2) + "\n").encode()


def _write_new(path: Path, data: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise KeyFileError(
            str(path), "is there already", "choose another folder, or replace a key with `edgetally-fleet keys rotate`"
        ) from None
    except OSError as error:
        raise StorageError(str(path), error) from error
