"""QR codes of invitations, on the terminal or as a picture."""

from __future__ import annotations

import sys
from pathlib import Path

import segno

from contracts.errors import StorageError
from fleet.enrolment.authority_files import write_new

_PIXELS = 8  # of a module: what a camera sees of a printed page or of a screen is sharper than its own pixels


def print_code(text: str) -> None:
    """Print a QR code on standard output."""
    _code(text).terminal(sys.stdout, compact=True)


def write_code(text: str, path: Path) -> None:
    """Write a QR code as PNG, for its owner alone.

    Raises:
        StorageError: it is there already, or cannot be written.
    """
    try:
        write_new(path, b"", 0o600)
        _code(text).save(str(path), kind="png", scale=_PIXELS)
    except OSError as error:
        raise StorageError(str(path), error) from error


def _code(text: str) -> segno.QRCode:
    return segno.make_qr(text, error="m")
