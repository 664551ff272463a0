"""Where an invitation comes from: flags, a file, a stick, a QR code; exactly one of them, but for the box's name."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from contracts.documents import read_document
from contracts.enrolment import Invitation
from contracts.errors import WrittenError
from runtime.documents import parse_toml

FILE_NAME = "provisioning.toml"
"""What the file on a stick is called."""

_LARGEST = 65_536  # bytes
_PLACES = ("", "*/", "*/*/")  # sticks are mounted as /media/LABEL and as /media/USER/LABEL


@dataclass(frozen=True)
class Flags:
    """What the command line says of an invitation; None for what it does not."""

    server: str | None = None
    token: str | None = None
    ca: str | None = None
    name: str | None = None

    @property
    def given(self) -> dict[str, str]:
        """What it does say."""
        every = {"server": self.server, "token": self.token, "ca": self.ca, "name": self.name}
        return {key: value for key, value in every.items() if value is not None}


def of_flags(flags: Flags) -> Invitation:
    """The invitation in flags.

    Raises:
        WrittenError: there is none.
        DocumentError: it does not fit.
    """
    if flags.server is None or flags.token is None:
        raise WrittenError(
            "expected an invitation: --server with --token, --file, --usb or --qr; "
            "`edgetally-fleet enrol token create` makes one"
        )
    return read_document(Invitation, flags.given, "the invitation")


def of_file(path: Path, flags: Flags) -> Invitation:
    """The invitation in a file.

    Args:
        path: of it; what is no ordinary file, a link say, is not followed: it may come from a stick.
        flags: of which the name, where it is given, is the box's.

    Raises:
        WrittenError: flags say more than the name, or it cannot be read.
        DocumentError: it does not fit.
    """
    return named(read_document(Invitation, parse_toml(_read(path), str(path)), str(path)), flags)


def on_stick(top: Path) -> Path:
    """The file on a stick.

    Args:
        top: where it is mounted, or the folder in which sticks are.

    Raises:
        WrittenError: there is none, or are several.
    """
    try:
        places = (path for pattern in _PLACES for path in sorted(top.glob(f"{pattern}{FILE_NAME}")))
        found = [path for path in places if path.is_file()]
    except OSError as error:
        raise WrittenError(f"--usb {top} cannot be looked at: {error.strerror}") from error
    if len(found) != 1:
        several = (
            f"got {', '.join(map(str, found))}; give one with --file" if found else "there is none; is it mounted?"
        )
        raise WrittenError(f"--usb {top}: expected one {FILE_NAME} there or up to two folders below, {several}")
    return found[0]


def named(invitation: Invitation, flags: Flags) -> Invitation:
    """An invitation with the name of the flags, where they say one.

    Raises:
        WrittenError: the flags say more than that.
        DocumentError: nobody may be called that.
    """
    if extra := sorted(set(flags.given) - {"name"}):
        raise WrittenError(f"the invitation has its own {', '.join(extra)}; leave out --{' and --'.join(extra)}")
    if flags.name is None:
        return invitation
    plain: Mapping[str, object] = {**invitation.model_dump(), "name": flags.name}
    return read_document(Invitation, plain, "--name")


def _read(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            ordinary = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            data = file.read(_LARGEST + 1) if ordinary else b""
    except OSError as error:
        raise WrittenError(f"{path} cannot be read: {error.strerror}") from error
    if not ordinary or len(data) > _LARGEST:
        raise WrittenError(f"{path}: expected an ordinary file of at most {_LARGEST} bytes, got another one")
    return data
